//! What lets anybody check the log: signed checkpoints, proofs of inclusion and consistency, and the keys.

use base64::{Engine, engine::general_purpose::STANDARD};
use edge::{Caller, Problem};
use event_store::{
    checkpoints::{self, Signed},
    signing, tree,
};
use events::{OrganizationId, Role};
use poem::Request;
use projections::{Cursor, Paging};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    answer::Detail,
    asked::Asked,
    instant::Instant,
    listing::Listed,
    operation::{Filter, Kind, Operation},
    parameters::refused as invalid,
    reading::{Reading, refused},
    state::QueryState,
    transparency_shape::{ConsistencyProof, InclusionProof, LogCheckpoint, LogKey, LogKeys},
};

/// Those who check the organization's log.
const CHECKERS: &[Role] = &[Role::OrganizationManager, Role::ComplianceAuditor];
const REACH: &str = "Organization managers and auditors see what was signed of their organization's log.";

const SIZE: Filter = Filter {
    name: "size",
    kind: Kind::Number,
    description: "The tree's size; that of the last checkpoint by default, and at most.",
    example: "4711",
};

/// `GET /v1/log/checkpoint`
pub const CHECKPOINT: Operation = Operation {
    method: "GET",
    path: "/v1/log/checkpoint",
    tag: "Log",
    summary: "Show the last signed checkpoint of the log",
    roles: CHECKERS,
    reach: REACH,
    filters: &[],
    sorts: &[],
    example: include_str!("examples/log_checkpoint.json"),
};

/// `GET /v1/log/checkpoints`
pub const CHECKPOINTS: Operation = Operation {
    method: "GET",
    path: "/v1/log/checkpoints",
    tag: "Log",
    summary: "List the signed checkpoints of the log",
    roles: CHECKERS,
    reach: REACH,
    filters: &[],
    sorts: &["-number", "number"],
    example: include_str!("examples/log_checkpoint.json"),
};

/// `GET /v1/log/proofs/inclusion`
pub const INCLUSION: Operation = Operation {
    method: "GET",
    path: "/v1/log/proofs/inclusion",
    tag: "Log",
    summary: "Prove that an event is in the log",
    roles: CHECKERS,
    reach: REACH,
    filters: &[
        Filter {
            name: "position",
            kind: Kind::Number,
            description: "The event's position, from 1; the last of the tree by default.",
            example: "17",
        },
        SIZE,
    ],
    sorts: &[],
    example: include_str!("examples/log_inclusion.json"),
};

/// `GET /v1/log/proofs/consistency`
pub const CONSISTENCY: Operation = Operation {
    method: "GET",
    path: "/v1/log/proofs/consistency",
    tag: "Log",
    summary: "Prove that the log continues what it was",
    roles: CHECKERS,
    reach: REACH,
    filters: &[
        Filter {
            name: "from",
            kind: Kind::Number,
            description: "The size of the earlier tree; that of the checkpoint before the last by default.",
            example: "4000",
        },
        Filter {
            name: "to",
            kind: Kind::Number,
            description: "The size of the later tree; that of the last checkpoint by default, and at most.",
            example: "4711",
        },
    ],
    sorts: &[],
    example: include_str!("examples/log_consistency.json"),
};

/// `GET /v1/log/keys`
pub const KEYS: Operation = Operation {
    method: "GET",
    path: "/v1/log/keys",
    tag: "Log",
    summary: "Show the public keys that sign the log",
    roles: CHECKERS,
    reach: REACH,
    filters: &[],
    sorts: &[],
    example: include_str!("examples/log_keys.json"),
};

impl Listed for LogCheckpoint {
    const OPERATION: Operation = CHECKPOINTS;
    const CSV: &'static [&'static str] = &["number", "size", "root", "note", "key_id", "signed_at"];

    async fn page(
        asked: &Asked,
        connection: &mut PgConnection,
        paging: &Paging,
    ) -> Result<projections::Page<Self>, Problem> {
        let (_, descending) = asked.parameters.order();
        let from = match &paging.after {
            None => None,
            Some(cursor) => {
                let number = cursor.value.parse::<i64>();
                Some(number.map_err(|_| refused(projections::QueryError::BadCursor))?)
            }
        };
        let limit = i64::from(paging.limit);
        let mut found = checkpoints::page(connection, asked.organization, from, descending, limit + 1).await?;
        let more = i64::try_from(found.len()).unwrap_or(i64::MAX) > limit;
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let mut next = None;
        if let Some(last) = found.last().filter(|_| more) {
            let incarnation =
                sqlx::query_scalar("select incarnation from engine.installation").fetch_one(connection).await?;
            let (sort, value) = (asked.parameters.sort.to_owned(), last.number.to_string());
            next = Some(Cursor { sort, value, id: Uuid::nil(), incarnation });
        }
        Ok(projections::Page { items: found.into_iter().map(Self::from).collect(), next })
    }
}

/// A reading of the log as one caller sees it.
struct Question {
    asked: Asked,
    reading: Reading,
}

impl Question {
    async fn begin(
        state: &QueryState,
        operation: &Operation,
        caller: &Caller,
        request: &Request,
    ) -> Result<Self, Problem> {
        let asked = Asked::read(state, operation, caller, request, None)?;
        Ok(Self { asked, reading: Reading::begin(state, caller, request).await? })
    }

    fn organization(&self) -> OrganizationId {
        self.asked.organization
    }

    async fn last(&mut self, most: Option<u64>) -> Result<Option<Signed>, Problem> {
        let organization = self.organization();
        Ok(checkpoints::latest(&mut self.reading.transaction, organization, most).await?)
    }

    async fn signed(&mut self) -> Result<Signed, Problem> {
        self.last(None).await?.ok_or_else(|| Problem::missing("no checkpoint of this log was signed yet"))
    }

    async fn root(&mut self, size: u64) -> Result<String, Problem> {
        let organization = self.organization();
        let tree = tree::compact(&mut self.reading.transaction, organization, size).await?;
        Ok(STANDARD.encode(tree.ok_or_else(damaged)?.root()))
    }

    /// A size that was signed, or lies below one.
    fn size(&self, name: &'static str, default: u64, most: u64) -> Result<u64, Problem> {
        let size = self.asked.parameters.value(name).unwrap_or(default);
        if (1..=most).contains(&size) {
            return Ok(size);
        }
        Err(invalid(name, &format!("must be from 1 to {most}")))
    }

    fn answer<T>(self, body: T) -> Detail<T> {
        Detail { body: Some(body), version: None, position: self.reading.as_of.as_of }
    }
}

/// Parts of the tree are gone, which only tampering can do; the checkpointer raises the alarm.
fn damaged() -> Problem {
    Problem::unavailable("log-damaged", "parts of this log are missing; an operator must look", 60)
}

fn encoded(hashes: Option<Vec<[u8; 32]>>) -> Result<Vec<String>, Problem> {
    Ok(hashes.ok_or_else(damaged)?.iter().map(|hash| STANDARD.encode(hash)).collect())
}

/// Answers for the last checkpoint.
pub async fn checkpoint(state: &QueryState, caller: &Caller, request: &Request) -> poem::Result<Detail<LogCheckpoint>> {
    let mut question = Question::begin(state, &CHECKPOINT, caller, request).await?;
    let signed = question.signed().await?;
    Ok(question.answer(signed.into()))
}

/// Answers with a proof of inclusion.
pub async fn inclusion(state: &QueryState, caller: &Caller, request: &Request) -> poem::Result<Detail<InclusionProof>> {
    let mut question = Question::begin(state, &INCLUSION, caller, request).await?;
    let signed = question.signed().await?;
    let size = question.size("size", signed.size, signed.size)?;
    let position = question.size("position", size, size)?;
    let (organization, root) = (question.organization(), question.root(size).await?);
    let connection = &mut *question.reading.transaction;
    let hashes = encoded(tree::inclusion(connection, organization, position, size).await.map_err(Problem::from)?)?;
    let leaf = tree::leaf(connection, organization, position).await.map_err(Problem::from)?.ok_or_else(damaged)?;
    Ok(question.answer(InclusionProof { position, size, leaf: STANDARD.encode(leaf), hashes, root }))
}

/// Answers with a proof of consistency.
pub async fn consistency(
    state: &QueryState,
    caller: &Caller,
    request: &Request,
) -> poem::Result<Detail<ConsistencyProof>> {
    let mut question = Question::begin(state, &CONSISTENCY, caller, request).await?;
    let signed = question.signed().await?;
    let to = question.size("to", signed.size, signed.size)?;
    let before = question.last(Some(to - 1)).await?;
    let from = question.size("from", before.map_or(to, |before| before.size), to)?;
    let organization = question.organization();
    let connection = &mut *question.reading.transaction;
    let hashes = encoded(tree::consistency(connection, organization, from, to).await.map_err(Problem::from)?)?;
    let (from_root, to_root) = (question.root(from).await?, question.root(to).await?);
    Ok(question.answer(ConsistencyProof { from, to, hashes, from_root, to_root }))
}

/// Answers with the keys.
pub async fn keys(state: &QueryState, caller: &Caller, request: &Request) -> poem::Result<Detail<LogKeys>> {
    let mut question = Question::begin(state, &KEYS, caller, request).await?;
    let organization = question.organization();
    let connection = &mut *question.reading.transaction;
    let origin = signing::origin(connection, organization).await.map_err(Problem::from)?;
    let keys = signing::public_keys(connection).await.map_err(Problem::from)?;
    let keys = keys
        .into_iter()
        .map(|key| LogKey {
            key_id: key.id,
            vkey: key.vkey(&origin).to_string(),
            created_at: Instant(key.created_at),
            retired_at: key.retired_at.map(Instant),
        })
        .collect();
    Ok(question.answer(LogKeys { origin, keys }))
}
