//! Bearer tokens by their hash, for authentication.

use chrono::{DateTime, Utc};
use events::{AccessTokenEvent, Recorded};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    model::{Column, FoldError, ReadModel},
    query::{Page, Paging, QueryError, Sort, Visibility, page, select, within_property},
};

/// Tokens that were issued.
#[derive(Debug)]
pub struct AccessTokens;

/// A token without its secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccessTokenRow {
    pub token_id: Uuid,
    pub organization_id: Uuid,
    pub hash: String,
    pub label: String,
    pub role: String,
    pub property_id: Option<Uuid>,
    pub types: Vec<String>,
    pub issued_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
}

impl ReadModel for AccessTokens {
    type Row = AccessTokenRow;
    const NAME: &'static str = "access_token";
    const VERSION: u32 = 2;
    const COLUMNS: &'static [Column] = &[
        ("token_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("hash", "text not null"),
        ("label", "text not null"),
        ("role", "text not null"),
        ("property_id", "uuid"),
        ("types", "text[] not null"),
        ("issued_at", "timestamptz not null"),
        ("expires_at", "timestamptz not null"),
        ("revoked_at", "timestamptz"),
    ];
    const INDEXES: &'static [&'static str] = &["(hash)"];

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        Ok(event.event::<AccessTokenEvent>()?.map(|_| event.stream_id).into_iter().collect())
    }

    fn fold(row: Option<AccessTokenRow>, key: Uuid, event: &Recorded) -> Result<Option<AccessTokenRow>, FoldError> {
        let Some(change) = event.event::<AccessTokenEvent>()? else { return Ok(row) };
        match change {
            AccessTokenEvent::AccessTokenIssued { hash, label, role, property_id, types, expires_at } => {
                Ok(Some(AccessTokenRow {
                    token_id: key,
                    organization_id: event.organization.0,
                    hash,
                    label: label.into(),
                    role: role.name().to_owned(),
                    property_id: property_id.map(|id| id.0),
                    types: types.into_iter().map(String::from).collect(),
                    issued_at: event.recorded_at,
                    expires_at,
                    revoked_at: None,
                }))
            }
            AccessTokenEvent::AccessTokenRevoked {} => {
                let mut row = row.ok_or(FoldError::Unexpected("revoked before it was issued"))?;
                row.revoked_at = Some(event.recorded_at);
                Ok(Some(row))
            }
        }
    }
}

/// A token as people see it: without its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    pub token_id: Uuid,
    pub label: String,
    pub role: String,
    pub property_id: Option<Uuid>,
    /// The types of events that it reads; empty: all of them.
    pub types: Vec<String>,
    pub issued_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A page of tokens, latest first.
pub async fn list(
    connection: &mut PgConnection,
    visibility: Visibility,
    paging: &Paging,
) -> Result<Page<TokenView>, QueryError> {
    let mut query = select("select token.* from read.access_token token where true");
    within_property(&mut query, "token.property_id", visibility);
    page(connection, query, &Sort::instant("issued_at", "token_id").descending(), paging).await
}
