//! `propty status`: the log, the read models, the outbox at a glance.

use std::process::ExitCode;

use command_service::outbox;
use event_store::positions;
use serde_json::json;

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
    let tasks = outbox::counts(pool).await?;
    let webhooks: Vec<(String, i64)> =
        sqlx::query_as("select state, count(*) from engine.webhooks group by state order by state")
            .fetch_all(pool)
            .await?;
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
            "log": { "events": head, "unordered": waiting }, "read_models": models,
            "outbox": tasks.iter().map(|(state, count)| (state.clone(), json!(count))).collect::<serde_json::Map<_, _>>(),
            "webhooks": webhooks.iter().map(|(state, count)| (state.clone(), json!(count))).collect::<serde_json::Map<_, _>>(),
        });
        return Ok(format!("{value:#}\n"));
    }
    let mut text = format!("log          {head} events, {waiting} not ordered yet\n");
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
    for (state, count) in tasks {
        let _ = writeln!(text, "outbox       {count} {state}");
    }
    for (state, count) in webhooks {
        let _ = writeln!(text, "webhooks     {count} {state}");
    }
    Ok(text)
}
