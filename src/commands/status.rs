//! `propty status`: the log, the read models, the outbox, today's charges by autopay at a glance.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use command_service::outbox;
use event_store::{
    checkpointer::{self, Refusal},
    follower, positions, rotation,
};
use projections::{
    QueryError, Visibility,
    autopay::{Run, run as autopay_run},
    status::ModelStatus,
};
use serde_json::json;
use sqlx::PgPool;

use host::Settings;

use crate::{cli::Place, failure::Failure, node::Node};

pub async fn run(place: &Place, settings: Settings, as_json: bool) -> Result<ExitCode, Failure> {
    let node = Node::visit(place, settings).await?;
    let result = report(&node, as_json).await;
    node.close().await;
    print!("{}", result?);
    Ok(ExitCode::SUCCESS)
}

async fn report(node: &Node, as_json: bool) -> Result<String, Failure> {
    use std::fmt::Write;
    let pool = node.store.pool();
    let head = positions::head(pool).await?;
    let waiting: i64 = sqlx::query_scalar("select count(*) from log.pending").fetch_one(pool).await?;
    let models = projections::status::status(pool).await?;
    let mirrors = follower::standings(pool).await?;
    let tasks = outbox::counts(pool).await?;
    let lanes = outbox::lanes(pool, node.clock.now()).await?;
    let today = todays_run(pool, &models, node.clock.now()).await?;
    let (unsigned, refused) = checkpointer::standing(pool).await?;
    let webhooks: Vec<(String, i64)> =
        sqlx::query_as("select state, count(*) from engine.webhooks group by state order by state")
            .fetch_all(pool)
            .await?;
    let wrappings = rotation::standing(pool).await?;
    let quarantined = command_service::quarantine::since(pool).await?;
    if as_json {
        let models: Vec<_> = models
            .iter()
            .map(|model| {
                json!({
                    "name": model.name, "generation": model.generation, "lag": model.lag,
                    "outdated": model.outdated, "stalled": model.stalled.len(),
                })
            })
            .collect();
        let value = json!({
            "log": { "events": head, "unordered": waiting, "unsigned": unsigned, "refused": refused.len() }, "read_models": models,
            "mirrors": mirrors.iter().map(|mirror| (mirror.name.clone(), json!({
                "lag": mirror.lag, "moved_at": mirror.updated_at, "stopped": mirror.stopped,
            }))).collect::<serde_json::Map<_, _>>(),
            "outbox": tasks.iter().map(|(state, count)| (state.clone(), json!(count))).collect::<serde_json::Map<_, _>>(),
            "lanes": lanes.iter().map(|lane| (lane.lane.clone(), json!({
                "due": lane.due, "under_way": lane.under_way, "later": lane.later, "oldest_seconds": lane.oldest.round(),
            }))).collect::<serde_json::Map<_, _>>(),
            "autopay_today": today,
            "quarantined_since": quarantined,
            "master_keys": wrappings.iter().map(|one| (one.master_key.clone(), json!({
                "keys": one.keys, "current": one.current,
            }))).collect::<serde_json::Map<_, _>>(),
            "webhooks": webhooks.iter().map(|(state, count)| (state.clone(), json!(count))).collect::<serde_json::Map<_, _>>(),
        });
        return Ok(format!("{value:#}\n"));
    }
    let mut text = format!("log          {head} events, {waiting} not ordered yet, {unsigned} not signed yet\n");
    for Refusal { organization, position, reason } in refused {
        let _ = writeln!(
            text,
            "TAMPERED     organization {organization}, position {position}: {reason}; see `propty audit verify`"
        );
    }
    if let Some(since) = quarantined {
        let _ = writeln!(text, "quarantined  since {since}: nothing is charged or sent until `propty restore accept`");
    }
    for model in models {
        let generation = model.generation.map_or_else(|| "none".to_owned(), |number| format!("g{number}"));
        let _ = write!(text, "read model   {:<16} {generation:<5} {} behind", model.name, model.lag);
        if model.outdated {
            text.push_str(", rebuilt at the next start");
        }
        if !model.stalled.is_empty() {
            let _ = write!(text, ", {} keys stalled", model.stalled.len());
        }
        text.push('\n');
    }
    for mirror in mirrors {
        let _ = write!(text, "mirror       {:<16} {} behind", mirror.name, mirror.lag);
        if let Some(reason) = mirror.stopped {
            let _ = write!(text, ", stopped: {reason}");
        }
        text.push('\n');
    }
    for one in wrappings {
        let role = if one.current { "" } else { ", former: see `propty keys status`" };
        let _ = writeln!(text, "master key   {} wraps {} keys{role}", one.master_key, one.keys);
    }
    for (state, count) in tasks {
        let _ = writeln!(text, "outbox       {count} {state}");
    }
    for lane in lanes {
        let _ = write!(text, "  {:<10} {} due, {} of them under way", lane.lane, lane.due, lane.under_way);
        if lane.due > 0 {
            let _ = write!(text, ", the oldest for {:.0} s", lane.oldest);
        }
        let _ = writeln!(text, "; {} later", lane.later);
    }
    if let Some(today) = today {
        let _ = writeln!(
            text,
            "autopay      today {} due: {} charged, {} in flight ({} unresolved), {} failed, {} waiting, {} held, {} not yet, \
             {} settled otherwise",
            today.total,
            today.charged,
            today.in_flight,
            today.unresolved,
            today.failed,
            today.waiting,
            today.held,
            today.not_yet,
            today.settled_otherwise,
        );
    }
    for (state, count) in webhooks {
        let _ = writeln!(text, "webhooks     {count} {state}");
    }
    Ok(text)
}

/// Today's charges of all organizations, each property's day in its own zone; nothing before the read models are first filled.
pub async fn todays_run(pool: &PgPool, models: &[ModelStatus], now: DateTime<Utc>) -> Result<Option<Run>, sqlx::Error> {
    if models.iter().any(|model| model.generation.is_none()) {
        return Ok(None);
    }
    let mut connection = pool.acquire().await?;
    match autopay_run(&mut connection, Visibility::default(), None, None, now).await {
        Ok(run) => Ok(Some(run)),
        Err(QueryError::Database(error)) => Err(error),
        Err(other) => Err(sqlx::Error::Decode(other.into())),
    }
}
