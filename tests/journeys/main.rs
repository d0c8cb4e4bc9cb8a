//! Journeys: the binary driven from outside, as people and providers do.

mod journey;
mod world;
