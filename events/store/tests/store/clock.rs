//! The business clock of several processes.

use chrono::{TimeDelta, Utc};
use event_store::BusinessClock;

use crate::world::World;

#[tokio::test]
async fn a_moved_clock_is_seen_by_another_process_after_its_refresh() {
    let world = World::new().await;
    let ours = BusinessClock::open(world.pool().clone()).await.expect("a clock");
    let theirs = BusinessClock::open(world.neighbour().await.pool().clone()).await.expect("a clock");
    assert!((ours.now() - Utc::now()).abs() < TimeDelta::seconds(5));

    ours.advance(TimeDelta::days(3)).await.expect("a move");
    let moved = ours.advance(TimeDelta::hours(1)).await.expect("a move");
    assert!((moved - Utc::now() - TimeDelta::hours(73)).abs() < TimeDelta::seconds(5));
    assert!((theirs.now() - Utc::now()).abs() < TimeDelta::seconds(5));
    theirs.refresh().await.expect("a refresh");
    assert!((theirs.now() - ours.now()).abs() < TimeDelta::seconds(5));
    assert_eq!(ours.now().timestamp_subsec_nanos() % 1000, 0);
}
