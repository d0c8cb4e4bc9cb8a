//! The memory of `propty serve`, without PostgreSQL's: idle, and under load.

use std::time::Duration;

use host::Settings;

use super::{
    CONNECTIONS, RUNS, Size, child::Served, commands, connection::Caller, report::Figure, scratch::Scratch, seed::World,
};

use crate::{failure::Failure, node::Node};

/// How long a started service is left alone before it counts as idle.
const REST: Duration = Duration::from_secs(2);

pub async fn figures(scratch: &Scratch, settings: &Settings, size: Size) -> Result<Vec<Figure>, Failure> {
    let place = scratch.place("serve");
    let (mut idle, mut loaded) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let served = Served::start(&place).await?;
        tokio::time::sleep(REST).await;
        idle.extend(served.memory("VmRSS"));
        let node = Node::visit(&place, settings.clone()).await?;
        let burdened = burden(&node, &served, size).await;
        node.close().await;
        burdened?;
        loaded.extend(served.memory("VmHWM"));
        served.stop().await?;
    }
    if idle.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![
        Figure::new("memory of `propty serve`, idle", "MB", idle).below(60.0),
        Figure::new("memory of `propty serve`, at most under load", "MB", loaded).below(250.0),
    ])
}

async fn burden(node: &Node, served: &Served, size: Size) -> Result<(), Failure> {
    let world = World::found(node).await?;
    let caller = Caller { address: served.address, token: world.token().await? };
    caller.until_known().await?;
    commands::load(&world, &caller, CONNECTIONS, size.of(10_000)).await.map(|_| ())
}
