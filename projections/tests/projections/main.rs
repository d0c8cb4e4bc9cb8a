//! The read models against a real `PostgreSQL`.

mod dashboards;
mod enrollments;
mod folds;
mod isolation;
mod money;
mod paging;
mod rebuilds;
mod server;
mod stalls;
mod story;
mod texting;
mod world;
