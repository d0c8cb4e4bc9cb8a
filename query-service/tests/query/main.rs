//! The query API against a real database, driven as a caller drives it.

mod audit;
mod audit_instants;
mod authorization;
mod bad_input;
mod community;
mod contract;
mod documents;
mod events;
mod freshness;
mod paging;
mod replica;
mod server;
mod shapes;
mod transparency;
mod world;
