//! The projector on a backlog, and a rebuild against the bare COPY of the same rows.

use std::time::{Duration, Instant};

use event_store::{ReadAhead, Subscription, positions};
use futures_util::TryStreamExt;
use projections::{Projector, generation, generation::Shape, models, rebuild, status::status};
use sqlx::{Executor, postgres::PgPoolCopyExt};

use super::{
    RUNS, Size,
    baseline::Baselines,
    driver::{float, rate},
    report::Figure,
    seed::{World, told},
};
use crate::failure::Failure;

const UNIT: &str = "events/s";
/// As the projector reads.
const PAGE: i64 = 1000;

pub async fn figures(world: &World<'_>, baselines: &Baselines, size: Size) -> Result<Vec<Figure>, Failure> {
    let projector = Projector::new(world.node.store.clone());
    catch_up(world, &projector).await?;
    let models = models();
    let Some(invoices) = models.iter().find(|model| model.name() == "invoice").map(AsRef::as_ref) else {
        return Ok(Vec::new());
    };
    let (mut all, mut one, mut rebuilt, mut copied) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        world.invoices(size.of(25_000)).await?;
        world.order().await?;
        one.push(one_model(world, invoices).await?);
        all.push(catch_up(world, &projector).await?);
        let started = Instant::now();
        rebuild::rebuild(&world.node.store, invoices, &mut |_| {}).await?;
        let elapsed = started.elapsed();
        let (rows, bare) = copy(world, baselines, invoices).await?;
        // It reads the whole log, whatever else is in it.
        let log = positions::head(world.node.store.pool()).await?;
        rebuilt.push(rate(usize::try_from(log).unwrap_or_default(), elapsed));
        copied.push(float(rows) / bare.as_secs_f64());
    }
    Ok(vec![
        Figure::new("projector, all read models live", UNIT, all).at_least(60_000.0),
        Figure::new("projector, the read model of invoices alone", UNIT, one),
        Figure::new("rebuild of the read model of invoices", UNIT, rebuilt).against("COPY of its rows", copied),
    ])
}

/// Lets the projector handle what waits.
pub async fn catch_up(world: &World<'_>, projector: &Projector) -> Result<f64, Failure> {
    let pool = world.node.store.pool();
    let subscription = Subscription::new("bench", world.node.store.clone());
    let head = positions::head(pool).await?;
    let waiting = status(pool).await?.iter().map(|model| model.lag).max().unwrap_or_default();
    let started = Instant::now();
    while waiting > 0 && projector.step(&subscription).await? < head {}
    Ok(rate(usize::try_from(waiting).unwrap_or_default(), started.elapsed()))
}

/// One read model fed on its own, on a generation that is never shown, from where the live one stands.
async fn one_model(world: &World<'_>, model: &dyn Shape) -> Result<f64, Failure> {
    let pool = world.node.store.pool();
    let generation = generation::create(pool, model).await?;
    let subscription = Subscription::new(generation.subscriber(), world.node.store.clone());
    let head = positions::head(pool).await?;
    let live = generation::live(pool, model.name()).await?.map(|(live, _)| live.subscriber());
    let start: i64 =
        sqlx::query_scalar("select coalesce(max(global_position), 0) from engine.checkpoints where subscriber = $1")
            .bind(live)
            .fetch_one(pool)
            .await?;
    let (mut reached, ahead) = (start, ReadAhead::default());
    let started = Instant::now();
    while reached < head {
        let page = ahead.page(&subscription, reached, PAGE).await.map_err(told)?;
        let mut transaction = event_store::transaction::begin(pool).await?;
        model.apply(&mut transaction, &generation, &page.events).await?;
        subscription.advance(&mut transaction, page.end).await?;
        transaction.commit().await?;
        reached = page.end;
    }
    Ok(rate(usize::try_from(head - start).unwrap_or_default(), started.elapsed()))
}

/// Copies the read model's rows into a table like it, indexes included.
async fn copy(world: &World<'_>, baselines: &Baselines, model: &dyn Shape) -> Result<(usize, Duration), Failure> {
    let pool = &baselines.pool;
    let Some((live, _)) = generation::live(world.node.store.pool(), model.name()).await? else {
        return Ok((0, Duration::from_secs(1)));
    };
    let table = live.table();
    pool.execute(&*format!("drop table if exists copied; create table copied (like {table} including all)")).await?;
    let mut out = pool.copy_out_raw(&format!("copy {table} to stdout")).await?;
    let mut rows = Vec::new();
    while let Some(chunk) = out.try_next().await? {
        rows.push(chunk);
    }
    let started = Instant::now();
    let mut into = pool.copy_in_raw("copy copied from stdin").await?;
    for chunk in &rows {
        into.send(chunk.as_ref()).await?;
    }
    let count = into.finish().await?;
    Ok((usize::try_from(count).unwrap_or_default(), started.elapsed()))
}
