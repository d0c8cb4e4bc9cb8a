//! How soon a read model shows what a command's answer has promised, at a steady pace of commands.

use std::time::Duration;

use events::UnitId;
use sqlx::PgPool;
use tokio::time::Instant;

use super::{
    RUNS, Size,
    commands::request,
    connection::{Caller, Connection},
    driver::{drive, percentile, rate},
    report::Figure,
    seed::World,
};
use crate::failure::Failure;

/// Commands per second.
const PACE: usize = 1000;
const SEATS: usize = 50;
/// One command in so many is watched; the questions of the watchers are load as well.
const WATCHED: usize = 10;
const ASK: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection with the delays that it has seen.
struct Seat {
    connection: Connection,
    pool: PgPool,
    delays: Vec<Duration>,
}

/// When to send what, and whether to watch for it.
struct Shot {
    at: Instant,
    request: Vec<u8>,
    watched: Option<UnitId>,
}

pub async fn figures(world: &World<'_>, caller: &Caller, size: Size) -> Result<Vec<Figure>, Failure> {
    let (mut p50, mut p99, mut paces) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let units = world.units(size.of(8 * PACE), 1).await?;
        settled(world, units.last().copied()).await?;
        let seats = caller.connections(SEATS).await?.into_iter().map(|connection| Seat {
            connection,
            pool: world.node.database.engine.clone(),
            delays: Vec::new(),
        });
        let step = Duration::from_secs(1) / u32::try_from(PACE).unwrap_or(1);
        let begin = Instant::now() + Duration::from_millis(50);
        let shots: Vec<Shot> = (0_u32..)
            .zip(&units)
            .map(|(index, unit)| Shot {
                at: begin + step * index,
                request: request(caller, *unit),
                watched: (index % u32::try_from(WATCHED).unwrap_or(1) == 0).then_some(*unit),
            })
            .collect();
        let (elapsed, seats) = drive(seats.collect(), shots, shoot).await?;
        paces.push(rate(units.len(), elapsed));
        let mut delays: Vec<Duration> = seats.into_iter().flat_map(|seat| seat.delays).collect();
        p50.push(percentile(&mut delays, 50));
        p99.push(percentile(&mut delays, 99));
    }
    Ok(vec![
        Figure::new(format!("pace held while {PACE} commands/s are asked for"), "commands/s", paces),
        Figure::new("read model visible after the answer, p50", "ms", p50),
        Figure::new("read model visible after the answer, p99", "ms", p99).below(50.0),
    ])
}

async fn shoot(mut seat: Seat, shot: Shot) -> Result<Seat, Failure> {
    tokio::time::sleep_until(shot.at).await;
    seat.connection.expect_ok(&shot.request).await?;
    if let Some(unit) = shot.watched {
        let answered = Instant::now();
        shown(&seat.pool, unit, 2).await?;
        seat.delays.push(answered.elapsed());
    }
    Ok(seat)
}

/// Waits until the read model shows a unit's version.
pub async fn shown(pool: &PgPool, unit: UnitId, version: i64) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE * 12;
    loop {
        let found: Option<i64> = sqlx::query_scalar("select version from read.unit where unit_id = $1")
            .bind(unit.0)
            .fetch_optional(pool)
            .await?;
        if found.is_some_and(|found| found >= version) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Failure::Told("a read model did not catch up within a minute".to_owned()));
        }
        tokio::time::sleep(ASK).await;
    }
}

/// Waits until what was seeded is in the read models.
pub async fn settled(world: &World<'_>, last: Option<UnitId>) -> Result<(), Failure> {
    match last {
        Some(unit) => shown(&world.node.database.engine, unit, 1).await,
        None => Ok(()),
    }
}
