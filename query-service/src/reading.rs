//! A reading: one read-only transaction that sees one organization as of one position of its log.

use std::time::Duration;

use edge::{Caller, Problem};
use poem::Request;
use projections::{Freshness, QueryError, position::Reached, tenant};
use serde_json::json;
use sqlx::{Postgres, Transaction};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{cursor, state::QueryState};

/// The request header that asks for a position, and gets an answer no older.
pub const MIN_POSITION: &str = "Propty-Min-Position";
/// The answer's header with the position that it shows.
pub const POSITION: &str = "Propty-Position";
const PATIENCE: Duration = Duration::from_secs(2);
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// The transaction and its position.
#[derive(Debug)]
pub struct Reading {
    pub transaction: Transaction<'static, Postgres>,
    pub as_of: Freshness,
    /// What was known when it began.
    reached: Reached,
}

/// What the caller must be able to see.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Position(i64),
    /// A command's consistency token `stream/id/version`: its event had no position yet.
    Event(String, Uuid, i64),
}

impl Reading {
    /// Begins, after waiting for the position that the request asks for.
    pub async fn begin(state: &QueryState, caller: &Caller, request: &Request) -> Result<Self, Problem> {
        let wanted = request.headers().get(MIN_POSITION).map(|value| wanted(value.to_str().ok())).transpose()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut reading = Self::now(state, caller).await?;
            let Some(wanted) = &wanted else { return Ok(reading) };
            let position = reading.place(wanted).await?;
            if position.is_some_and(|position| reading.as_of.as_of >= position) {
                return Ok(reading);
            }
            // What was known a moment ago may be less than what this transaction sees.
            reading.look(state, caller).await?;
            if position.is_some_and(|position| reading.as_of.as_of >= position) {
                return Ok(reading);
            }
            let as_of = reading.as_of;
            reading.transaction.rollback().await?;
            if Instant::now() >= deadline {
                let detail = format!("the answer would be as of {}; ask again", as_of.as_of);
                let problem = Problem::unavailable("not-caught-up", detail, 1).with("position", json!(as_of.as_of));
                return Err(problem.with("head", json!(as_of.head)));
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Begins with whatever is there.
    pub async fn now(state: &QueryState, caller: &Caller) -> Result<Self, Problem> {
        // Both before the transaction begins, so that it sees no less.
        let (recent, reached) = (state.watermark.recent(caller.organization), state.watermark.reached());
        let transaction = tenant::begin(&state.query_pool, caller.organization).await?;
        let nothing = Freshness { as_of: 0, head: 0, incarnation: 0 };
        let mut reading = Self { transaction, reached, as_of: recent.unwrap_or(nothing) };
        if recent.is_none() {
            reading.look(state, caller).await?;
        }
        Ok(reading)
    }

    /// Finds out how fresh the read models are in this transaction.
    async fn look(&mut self, state: &QueryState, caller: &Caller) -> Result<(), Problem> {
        let (watermark, organization) = (&state.watermark, caller.organization);
        self.as_of = watermark.freshness(organization, self.reached, &mut self.transaction).await.map_err(refused)?;
        if let Some(behind) = &state.behind
            && let Some(head) = behind.head(organization).await
        {
            // How much a replica lacks counts as much as what its read models have not seen.
            self.as_of.head = self.as_of.head.max(head);
        }
        Ok(())
    }

    async fn place(&mut self, wanted: &Wanted) -> Result<Option<i64>, Problem> {
        match wanted {
            Wanted::Position(position) => Ok(Some(*position)),
            Wanted::Event(stream, id, version) => Ok(sqlx::query_scalar(
                "select position from log.entries where aggregate_type = $1 and aggregate_id = $2 and sequence = $3",
            )
            .bind(stream)
            .bind(id.to_string())
            .bind(version)
            .fetch_optional(&mut *self.transaction)
            .await?),
        }
    }
}

/// What a failed query means to the caller.
pub fn refused(error: QueryError) -> Problem {
    match error {
        QueryError::Database(error) => error.into(),
        error @ QueryError::Row(_) => Problem::internal(&error),
        QueryError::BadCursor => cursor::mismatch(),
        QueryError::StaleCursor => cursor::gone(),
    }
}

fn wanted(header: Option<&str>) -> Result<Wanted, Problem> {
    let read = |text: &str| {
        if let Ok(position) = text.parse::<i64>() {
            return (position >= 0).then_some(Wanted::Position(position));
        }
        let mut parts = text.splitn(3, '/');
        let (stream, id, version) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Wanted::Event(stream.to_owned(), id.parse().ok()?, version.parse().ok().filter(|version| *version > 0)?))
    };
    header.and_then(|text| read(text.trim())).ok_or_else(|| {
        Problem::malformed(format!("`{MIN_POSITION}` must be a position, or the token that a command's answer gave"))
            .with("parameter", json!(MIN_POSITION))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_tokens_are_read() -> Result<(), Problem> {
        assert_eq!(wanted(Some(" 12 "))?, Wanted::Position(12));
        let token = format!("invoice/{}/3", Uuid::nil());
        assert_eq!(wanted(Some(&token))?, Wanted::Event("invoice".into(), Uuid::nil(), 3));
        Ok(())
    }

    #[test]
    fn other_headers_are_malformed() {
        for header in [None, Some(""), Some("-1"), Some("x"), Some("1.5"), Some("99999999999999999999"), Some("a/b/c")]
        {
            assert_eq!(wanted(header).expect_err("malformed").status(), 400, "{header:?}");
        }
    }
}
