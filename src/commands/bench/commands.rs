//! Commands: load, decide, durable append; in process and over HTTP.

use std::collections::BTreeMap;

use command_service::{Ask, Engine};
use domain::unit::RelabelUnit;
use event_store::sequencer::Sequencer;
use events::{UnitId, text::Label};
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    CALLERS, CONNECTIONS, RUNS, Size,
    baseline::{Baselines, LOAD_AND_INSERT, POSTGRES_ES, SINGLE_INSERTS, repeated},
    connection::Caller,
    driver::{drive, rate},
    report::Figure,
    seed::{World, told},
};
use crate::failure::Failure;

const UNIT: &str = "commands/s";
/// Events of history in the figure about long streams.
const HISTORY: usize = 100;

/// What was measured in turn, for one number of callers.
#[derive(Default)]
struct Runs {
    plain: Vec<f64>,
    keyed: Vec<f64>,
    postgres_es: Vec<f64>,
    single: Vec<f64>,
    loaded: Vec<f64>,
}

/// Without idempotency keys; with keys and the sequencer at work; against both baselines.
pub async fn figures(world: &World<'_>, baselines: &Baselines, size: Size) -> Result<Vec<Figure>, Failure> {
    let mut measured: BTreeMap<usize, Runs> = BTreeMap::new();
    for _ in 0..RUNS {
        for callers in CALLERS {
            let count = size.of(if callers == 1 { 2000 } else { 8000 });
            let runs = measured.entry(callers).or_default();
            let units = world.units(count, 1).await?;
            runs.plain.push(execute(world, callers, &units, 1, false).await?);
            // So that no measurement inherits a backlog.
            world.order().await?;
            runs.postgres_es.push(baselines.postgres_es(callers, count, 1, 1).await?);
            runs.keyed.push(sequenced(world, callers, count).await?);
            runs.single.push(baselines.single_inserts(callers, count).await?);
            runs.loaded.push(baselines.load_and_insert(callers, count).await?);
        }
    }
    let mut figures = Vec::new();
    for (callers, runs) in measured {
        let plain = Figure::new(format!("command in process, {callers} callers"), UNIT, runs.plain)
            .against(POSTGRES_ES, runs.postgres_es.clone());
        figures.push(if callers == 64 { plain.ratio_at_least(1.5) } else { plain });
        let name = format!("… with idempotency record and sequencer, {callers} callers");
        let keyed = Figure::new(name, UNIT, runs.keyed);
        figures.push(keyed.clone().against(POSTGRES_ES, runs.postgres_es));
        figures.push(keyed.clone().against(SINGLE_INSERTS, runs.single));
        let loaded = keyed.against(LOAD_AND_INSERT, runs.loaded);
        // A command may take 1.2 times as long.
        figures.push(if callers == 1 { loaded.ratio_at_least(0.83) } else { loaded });
    }
    Ok(figures)
}

/// Streams that are 100 events long, again and again.
pub async fn with_history(world: &World<'_>, baselines: &Baselines, size: Size) -> Result<Vec<Figure>, Failure> {
    // A multiple of the callers, so that each aggregate is one caller's and nobody meets a conflict.
    let (aggregates, rounds) = (size.of(384).next_multiple_of(64), 4);
    let history = i64::try_from(HISTORY).unwrap_or_default();
    let mut measured: BTreeMap<usize, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for _ in 0..RUNS {
        for callers in [8, 64] {
            let (ours, theirs) = measured.entry(callers).or_default();
            let units = world.units(aggregates, HISTORY).await?;
            ours.push(execute(world, callers, &units, rounds, false).await?);
            world.order().await?;
            theirs.push(baselines.postgres_es(callers, aggregates, history, rounds).await?);
        }
    }
    let figure = |(callers, (ours, theirs)): (usize, (Vec<f64>, Vec<f64>))| {
        Figure::new(format!("command on {HISTORY} events of history, {callers} callers"), UNIT, ours)
            .against(POSTGRES_ES, theirs)
    };
    Ok(measured.into_iter().map(figure).collect())
}

/// With the sequencer keeping up beside the callers.
pub async fn sequenced(world: &World<'_>, callers: usize, count: usize) -> Result<f64, Failure> {
    let store = &world.node.store;
    let units = world.units(count, 1).await?;
    world.order().await?;
    let (stop, stopped) = watch::channel(false);
    let sequencer = Sequencer::new(store.pool().clone(), store.positions().clone());
    let running = tokio::spawn(async move { sequencer.run(stopped).await });
    let measured = execute(world, callers, &units, 1, true).await;
    let _ = stop.send(true);
    let _ = running.await;
    world.order().await?;
    measured
}

/// What a caller in process works with.
#[derive(Clone)]
struct Seat {
    engine: Engine,
    ask: Ask,
    keyed: bool,
}

async fn execute(
    world: &World<'_>,
    callers: usize,
    units: &[UnitId],
    rounds: usize,
    keyed: bool,
) -> Result<f64, Failure> {
    let jobs = repeated(units, rounds);
    let count = jobs.len();
    let seat = Seat { engine: world.node.engine.clone(), ask: Ask::operator(world.organization), keyed };
    let (elapsed, _) = drive(vec![seat; callers], jobs, relabel).await?;
    Ok(rate(count, elapsed))
}

async fn relabel(seat: Seat, (unit_id, round): (UnitId, usize)) -> Result<Seat, Failure> {
    let label = Label::parse(&format!("B {round}")).map_err(told)?;
    let mut ask = seat.ask.clone();
    if seat.keyed {
        ask = ask.keyed(Uuid::now_v7().to_string());
    }
    seat.engine.execute(RelabelUnit { unit_id, label }, &ask).await?;
    Ok(seat)
}

/// Authentication, idempotency key, JSON, keep-alive; the whole service runs, and the client shares its cores.
pub async fn over_http(
    world: &World<'_>,
    baselines: &Baselines,
    caller: &Caller,
    size: Size,
) -> Result<Vec<Figure>, Failure> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let count = size.of(8000);
    for _ in 0..RUNS {
        ours.push(load(world, caller, CONNECTIONS, count).await?);
        theirs.push(baselines.postgres_es(CONNECTIONS, count, 1, 1).await?);
    }
    let figure = Figure::new(format!("command over HTTP, {CONNECTIONS} connections"), UNIT, ours);
    Ok(vec![figure.against(format!("{POSTGRES_ES} in process"), theirs).at_least(2500.0)])
}

/// So many commands over so many connections.
pub async fn load(world: &World<'_>, caller: &Caller, connections: usize, count: usize) -> Result<f64, Failure> {
    let units = world.units(count, 1).await?;
    let requests = units.iter().map(|unit| request(caller, *unit)).collect();
    let (elapsed, _) =
        drive(caller.connections(connections).await?, requests, |mut connection, request: Vec<u8>| async move {
            connection.expect_ok(&request).await?;
            Ok(connection)
        })
        .await?;
    Ok(rate(count, elapsed))
}

/// The same command as in process.
pub fn request(caller: &Caller, unit: UnitId) -> Vec<u8> {
    let body = serde_json::json!({ "unit_id": unit, "label": "B 0" });
    caller.command("RelabelUnit", &Uuid::now_v7().to_string(), &body.to_string())
}
