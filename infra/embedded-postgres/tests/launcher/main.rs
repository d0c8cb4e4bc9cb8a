//! The launcher against a real `PostgreSQL`: its life, its crashes, the places it may live in, and packaged binaries.

mod crash;
mod fixture;
mod life;
mod packaged;
mod places;
