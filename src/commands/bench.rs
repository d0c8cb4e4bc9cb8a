//! `propty bench`: this machine against plain postgres-es and single inserts, in the same run. It reports and asserts nothing.

mod baseline;
mod child;
mod commands;
mod connection;
mod driver;
mod machine;
mod projecting;
mod queries;
mod report;
mod scratch;
mod seed;
mod sequencing;
mod serving;
mod starting;
mod visible;

use std::process::ExitCode;

use host::Settings;

use crate::{
    cli::{Bench, Place, ServeRole},
    failure::Failure,
    node::Node,
    server::Service,
};
use report::Report;
use scratch::Scratch;
use seed::World;

/// Each figure is the median of this many runs, subject and baseline in turn.
pub const RUNS: usize = 3;
/// How many callers ask at once.
pub const CALLERS: [usize; 4] = [1, 8, 32, 64];
/// Connections of the figures over HTTP.
pub const CONNECTIONS: usize = 64;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    percent: u32,
}

impl Size {
    /// The share of `full` that was asked for, and never nothing.
    pub fn of(self, full: usize) -> usize {
        (full * usize::try_from(self.percent).unwrap_or(100) / 100).max(20)
    }
}

pub async fn run(place: &Place, mut settings: Settings, args: &Bench) -> Result<ExitCode, Failure> {
    let size = Size { percent: args.percent.max(1) };
    // Whatever is configured for production stays out of this; the port is any that is free.
    settings.listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    settings.public_url = None;
    let scratch = Scratch::make(place).await?;
    let measured = measure(&scratch, &settings, size).await;
    scratch.remove().await?;
    let report = measured?;
    if args.json {
        println!("{}", report.json()?);
    } else {
        println!("{report}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(scratch: &Scratch, settings: &Settings, size: Size) -> Result<Report, Failure> {
    let mut figures = Vec::new();
    let node = Node::open(&scratch.place("engine"), settings.clone()).await?;
    let measured = in_process(&node, size, &mut figures).await;
    let report = match measured {
        Ok(()) => Report::new(&node.database.engine, size.percent).await,
        Err(failure) => Err(failure),
    };
    node.close().await;
    let report = report?;
    if scratch.is_private() {
        told("start to ready");
        figures.extend(starting::figures(scratch).await?);
    }
    told("memory");
    figures.extend(serving::figures(scratch, settings, size).await?);
    Ok(report.with(figures))
}

async fn in_process(node: &Node, size: Size, figures: &mut Vec<report::Figure>) -> Result<(), Failure> {
    let world = World::found(node).await?;
    let baselines = baseline::Baselines::open(&node.database.engine).await?;
    projections::Projector::new(node.store.clone()).prepare().await?;
    told("commands in process");
    figures.extend(commands::figures(&world, &baselines, size).await?);
    told("an aggregate with 100 events of history");
    figures.extend(commands::with_history(&world, &baselines, size).await?);
    told("the sequencer and the projector");
    figures.extend(sequencing::figures(&world, size).await?);
    figures.extend(projecting::figures(&world, &baselines, size).await?);
    // Nobody is reached: what is measured over HTTP has no effects.
    let providers = command_service::Providers::try_new(&node.settings, Some("sandbox"), Some("http://127.0.0.1:9"))?;
    let service = Service::start(node, providers, ServeRole::All).await?;
    let measured = over_http(&world, &baselines, service.address, size, figures).await;
    service.stop().await;
    baselines.close().await;
    measured
}

async fn over_http(
    world: &World<'_>,
    baselines: &baseline::Baselines,
    address: std::net::SocketAddr,
    size: Size,
    figures: &mut Vec<report::Figure>,
) -> Result<(), Failure> {
    let caller = connection::Caller { address, token: world.token().await? };
    caller.until_known().await?;
    told("commands over HTTP");
    figures.extend(commands::over_http(world, baselines, &caller, size).await?);
    told("read model visible after the answer");
    figures.extend(visible::figures(world, &caller, size).await?);
    told("point query over HTTP");
    figures.extend(queries::figures(world, &caller, size).await?);
    Ok(())
}

fn told(what: &str) {
    eprintln!("propty: measuring {what} …");
}
