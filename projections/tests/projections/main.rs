//! The read models against a real `PostgreSQL`.

mod dashboards;
mod folds;
mod isolation;
mod paging;
mod rebuilds;
mod server;
mod stalls;
mod story;
mod world;
