//! Process managers as pure reactions, and the ports that they need.

pub mod ports;
