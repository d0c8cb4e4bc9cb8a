//! The sequencer catching up on a backlog.

use std::time::Instant;

use super::{RUNS, Size, driver::rate, report::Figure, seed::World};
use crate::failure::Failure;

pub async fn figures(world: &World<'_>, size: Size) -> Result<Vec<Figure>, Failure> {
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        world.invoices(size.of(20_000)).await?;
        let started = Instant::now();
        let ordered = world.order().await?;
        runs.push(rate(ordered, started.elapsed()));
    }
    Ok(vec![Figure::new("sequencer on a backlog", "events/s", runs)])
}
