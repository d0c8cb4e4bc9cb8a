//! `propty outbox`: what waits for a person, and the person's word on it.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use command_service::outbox;

use host::Settings;

use crate::{
    cli::{Outbox, OutboxAction, Place},
    failure::Failure,
    node::Node,
};

type Piece = (String, String, String, i32, DateTime<Utc>, Option<String>);

pub async fn run(place: &Place, settings: Settings, args: Outbox) -> Result<ExitCode, Failure> {
    let node = Node::visit(place, settings).await?;
    let result = act(&node, args.action.unwrap_or(OutboxAction::List)).await;
    node.close().await;
    print!("{}", result?);
    Ok(ExitCode::SUCCESS)
}

async fn act(node: &Node, action: OutboxAction) -> Result<String, Failure> {
    let pool = node.store.pool();
    match action {
        OutboxAction::List => {
            let pieces: Vec<Piece> = sqlx::query_as(
                "select key, name, state, attempts, created_at, last_error from engine.outbox
                 where state in ('unresolved', 'refused') order by created_at limit 500",
            )
            .fetch_all(pool)
            .await?;
            if pieces.is_empty() {
                return Ok("nothing is unresolved\n".to_owned());
            }
            let lines: Vec<String> = pieces
                .into_iter()
                .map(|(key, name, state, attempts, since, error)| {
                    format!(
                        "{state:<10} {name:<16} since {since} after {attempts} attempts\n  {key}\n  {}\n",
                        error.unwrap_or_default()
                    )
                })
                .collect();
            Ok(lines.concat())
        }
        OutboxAction::Retry { key } => {
            known(outbox::resume(&node.engine, &key).await?, &key)?;
            Ok(format!("{key} is tried again\n"))
        }
        OutboxAction::Drop { key } => {
            known(outbox::drop_for_good(&node.engine, &key).await?, &key)?;
            Ok(format!("{key} is left undone\n"))
        }
    }
}

fn known(found: bool, key: &str) -> Result<(), Failure> {
    if found {
        return Ok(());
    }
    Err(Failure::Told(format!("no unresolved piece has the key {key}; see `propty outbox list`")))
}
