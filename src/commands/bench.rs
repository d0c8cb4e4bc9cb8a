//! `propty bench`: this machine against plain postgres-es and single inserts, in the same run. It reports and asserts nothing.

mod auditing;
mod baseline;
mod charging;
mod child;
mod commands;
mod connection;
mod driver;
mod feed;
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
    cli::{Bench, Measured, Place, ServeRole},
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

/// Which figures are measured: all when none are named.
#[derive(Clone, Copy)]
struct Wanted<'a>(&'a [Measured]);

impl Wanted<'_> {
    /// Whether to measure this; if so, it is said.
    fn has(self, measured: Measured, what: &str) -> bool {
        let wanted = self.includes(measured);
        if wanted {
            eprintln!("propty: measuring {what} …");
        }
        wanted
    }

    fn includes(self, measured: Measured) -> bool {
        self.0.is_empty() || self.0.contains(&measured)
    }
}

pub async fn run(place: &Place, mut settings: Settings, args: &Bench) -> Result<ExitCode, Failure> {
    let size = Size { percent: args.percent.max(1) };
    // Whatever is configured for production stays out of this; the port is any that is free.
    settings.secrets.read_database = None;
    settings.listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    settings.public_url = None;
    let scratch = Scratch::make(place).await?;
    let measured = measure(&scratch, &settings, size, Wanted(&args.only)).await;
    scratch.remove().await?;
    let report = measured?;
    if args.json {
        println!("{}", report.json()?);
    } else {
        println!("{report}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(scratch: &Scratch, settings: &Settings, size: Size, wanted: Wanted<'_>) -> Result<Report, Failure> {
    let mut figures = Vec::new();
    let node = Node::open(&scratch.place("engine"), settings.clone()).await?;
    let measured = in_process(&node, size, wanted, &mut figures).await;
    let report = match measured {
        Ok(()) => Report::new(&node.database.engine, size.percent).await,
        Err(failure) => Err(failure),
    };
    node.close().await;
    let report = report?;
    if wanted.has(Measured::Charging, "autopay's machinery") {
        figures.extend(charging::figures(scratch, settings, size).await?);
    }
    if wanted.has(Measured::Audit, "verification, bundles and checkpoints") {
        figures.extend(auditing::figures(scratch, settings, size).await?);
    }
    if wanted.has(Measured::Feed, "the event feed") {
        figures.extend(feed::figures(scratch, settings, size).await?);
    }
    if scratch.is_private() && wanted.has(Measured::Start, "start to ready") {
        figures.extend(starting::figures(scratch).await?);
    }
    if wanted.has(Measured::Memory, "memory") {
        figures.extend(serving::figures(scratch, settings, size).await?);
    }
    Ok(report.with(figures))
}

async fn in_process(
    node: &Node,
    size: Size,
    wanted: Wanted<'_>,
    figures: &mut Vec<report::Figure>,
) -> Result<(), Failure> {
    let world = World::found(node).await?;
    let baselines = baseline::Baselines::open(&node.database.engine).await?;
    projections::Projector::new(node.store.clone()).prepare().await?;
    if wanted.has(Measured::Commands, "commands in process") {
        figures.extend(commands::figures(&world, &baselines, size).await?);
    }
    if wanted.has(Measured::History, "an aggregate with 100 events of history") {
        figures.extend(commands::with_history(&world, &baselines, size).await?);
    }
    if wanted.has(Measured::Sequencer, "the sequencer") {
        figures.extend(sequencing::figures(&world, size).await?);
    }
    if wanted.has(Measured::Projector, "the projector") {
        figures.extend(projecting::figures(&world, &baselines, size).await?);
    }
    let mut measured = Ok(());
    if [Measured::Http, Measured::Visible, Measured::Query].into_iter().any(|one| wanted.includes(one)) {
        if !wanted.includes(Measured::Projector) {
            // What was measured before has left it a backlog.
            projecting::catch_up(&world, &projections::Projector::new(node.store.clone())).await?;
        }
        // Nobody is reached: what is measured over HTTP has no effects.
        let providers =
            command_service::Providers::try_new(&node.settings, Some("sandbox"), Some("http://127.0.0.1:9"))?;
        let service = Service::start(node, providers, ServeRole::All).await?;
        measured = over_http(&world, &baselines, service.address, size, wanted, figures).await;
        service.stop().await;
    }
    baselines.close().await;
    measured
}

async fn over_http(
    world: &World<'_>,
    baselines: &baseline::Baselines,
    address: std::net::SocketAddr,
    size: Size,
    wanted: Wanted<'_>,
    figures: &mut Vec<report::Figure>,
) -> Result<(), Failure> {
    let caller = connection::Caller { address, token: world.token().await? };
    caller.until_known().await?;
    if wanted.has(Measured::Http, "commands over HTTP") {
        figures.extend(commands::over_http(world, baselines, &caller, size).await?);
    }
    if wanted.has(Measured::Visible, "read model visible after the answer") {
        figures.extend(visible::figures(world, &caller, size).await?);
    }
    if wanted.has(Measured::Query, "point query over HTTP") {
        figures.extend(queries::figures(world, &caller, size).await?);
    }
    Ok(())
}
