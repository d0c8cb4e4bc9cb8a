//! `POST /v1/tokens`: a bearer token is made here, shown once, and kept as its hash.

use chrono::{DateTime, TimeDelta, Utc};
use domain::access_token::IssueAccessToken;
use edge::{Caller, Problem, credentials::NewToken};
use events::{PropertyId, Role, TokenId, text::Name, webhook::TypeName};
use poem::{Body, Request, Response, handler, http::StatusCode, web::Data};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{CommandState, KNOWN, endpoints::known_types, respond, typed};
use crate::{Ask, Fault, engine::Engine};

/// Who may hand out tokens.
pub const ROLES: &[Role] = &[Role::OrganizationManager];

/// What a token is for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    pub label: Name,
    pub role: Role,
    #[serde(default)]
    pub property_id: Option<PropertyId>,
    /// The types of events that it reads; empty: all of them.
    #[serde(default)]
    pub types: Vec<TypeName>,
    /// 90 days by default.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
}

impl Grant {
    /// All that a role may, for 90 days.
    pub const fn of(label: Name, role: Role) -> Self {
        Self { label, role, property_id: None, types: Vec::new(), expires_at: None }
    }
}

/// Makes a token and records its hash; the secret is returned and forgotten.
pub async fn issue_token(
    engine: &Engine,
    ask: &Ask,
    grant: Grant,
) -> Result<(TokenId, NewToken, DateTime<Utc>), Fault> {
    let token = NewToken::generate().map_err(|error| {
        Fault::Store(event_store::AppendError::Database(sqlx::Error::Configuration(Box::new(error))))
    })?;
    let token_id = TokenId(Uuid::now_v7());
    let Grant { label, role, property_id, types, expires_at } = grant;
    let expires_at = expires_at.unwrap_or_else(|| engine.clock().now() + TimeDelta::days(90));
    let command = IssueAccessToken { token_id, hash: token.hash.clone(), label, role, property_id, types, expires_at };
    engine.execute(command, &Ask { wants_position: true, ..ask.clone() }).await?;
    Ok((token_id, token, expires_at))
}

#[handler]
pub async fn issue(
    caller: Caller,
    state: Data<&CommandState>,
    request: &Request,
    body: Body,
) -> Result<Response, Problem> {
    caller.admit(ROLES)?;
    let grant: Grant = typed(request, body, &KNOWN).await?;
    known_types(grant.types.iter().map(TypeName::as_str))?;
    let mut ask = super::ask(&caller, request)?;
    // A secret cannot be shown twice, so a repeated key cannot be answered.
    if ask.idempotency_key.take().is_some() {
        return Err(Problem::malformed("tokens are made without Idempotency-Key; revoke what you do not need"));
    }
    let (id, token, expires_at) = issue_token(&state.effects.engine, &ask, grant).await?;
    state.authenticator.await_token(&token.hash).await?;
    Ok(respond(StatusCode::CREATED, &json!({ "token_id": id, "token": token.secret, "expires_at": expires_at })))
}
