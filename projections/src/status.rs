//! Where each read model stands, for people at the shell and for metrics.
//!
//! A stalled key waits, with all its later events, until a version that understands its event is deployed and
//! `propty rebuild` has filled a new generation: the new generation starts without stalled keys.

use chrono::{DateTime, Utc};
use event_store::positions;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::{generation, model::models};

/// A read model's live generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelStatus {
    pub name: &'static str,
    /// Absent until the first filling is done.
    pub generation: Option<i32>,
    /// Global position. Internal: for operators only.
    pub position: i64,
    /// Events of the log that it has not seen.
    pub lag: i64,
    /// Its shape is not today's, so the next start rebuilds it.
    pub outdated: bool,
    pub stalled: Vec<Stalled>,
}

/// A key that waits behind an event which cannot be handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stalled {
    pub key: String,
    pub organization_id: Uuid,
    pub global_position: i64,
    pub reason: String,
    pub since: DateTime<Utc>,
}

/// Every read model's state. Takes the engine's pool.
pub async fn status(pool: &PgPool) -> Result<Vec<ModelStatus>, sqlx::Error> {
    let head = positions::head(pool).await?;
    let live = sqlx::query(
        "select model.name, model.generation, model.shape, known.global_position
         from engine.read_models model
         join engine.checkpoints known on known.subscriber = 'read/' || model.name || '/g' || model.generation
         where model.state = 'live'",
    )
    .fetch_all(pool)
    .await?;
    let waiting = sqlx::query(
        "select stalled.* from engine.stalled stalled
         join engine.read_models model
             on model.name = stalled.read_model and model.generation = stalled.generation and model.state = 'live'
         order by global_position, key",
    )
    .fetch_all(pool)
    .await?;
    models()
        .iter()
        .map(|model| {
            let mut status = ModelStatus {
                name: model.name(),
                generation: None,
                position: 0,
                lag: head,
                outdated: true,
                stalled: vec![],
            };
            for row in &live {
                if row.try_get::<&str, _>("name")? == status.name {
                    status.generation = Some(row.try_get("generation")?);
                    status.position = row.try_get("global_position")?;
                    status.lag = (head - status.position).max(0);
                    status.outdated = row.try_get::<&str, _>("shape")? != generation::fingerprint(model.as_ref());
                }
            }
            for row in &waiting {
                if row.try_get::<&str, _>("read_model")? == status.name {
                    status.stalled.push(Stalled {
                        key: row.try_get("key")?,
                        organization_id: row.try_get("organization_id")?,
                        global_position: row.try_get("global_position")?,
                        reason: row.try_get("reason")?,
                        since: row.try_get("since")?,
                    });
                }
            }
            Ok(status)
        })
        .collect()
}
