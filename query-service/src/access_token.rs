//! Tokens that were issued; never their secrets.

use edge::Problem;
use poem_openapi::Object;
use projections::{
    Paging,
    access_token::{self, TokenView},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    asked::Asked,
    instant::Instant,
    listing::{Listed, shown},
    operation::{ORGANIZATION_MANAGERS, Operation},
};

/// `GET /v1/tokens`
pub const LIST: Operation = Operation {
    method: "GET",
    path: "/v1/tokens",
    tag: "Tokens",
    summary: "List tokens, latest first",
    roles: ORGANIZATION_MANAGERS,
    reach: "Organization managers see the tokens of their organization, without their secrets.",
    filters: &[],
    sorts: &["-issued_at"],
    example: include_str!("examples/access_token.json"),
};

/// A bearer token without its secret.
#[derive(Debug, Clone, Object)]
pub struct AccessToken {
    pub token_id: Uuid,
    pub label: String,
    pub role: String,
    /// Null: the whole organization.
    pub property_id: Option<Uuid>,
    /// The types of events that it reads; empty: all of them.
    pub types: Vec<String>,
    pub issued_at: Instant,
    pub expires_at: Instant,
    pub revoked_at: Option<Instant>,
}

impl From<TokenView> for AccessToken {
    fn from(token: TokenView) -> Self {
        let TokenView { token_id, label, role, property_id, types, issued_at, expires_at, revoked_at } = token;
        Self {
            token_id,
            label,
            role,
            property_id,
            types,
            issued_at: Instant(issued_at),
            expires_at: Instant(expires_at),
            revoked_at: revoked_at.map(Instant),
        }
    }
}

impl Listed for AccessToken {
    const OPERATION: Operation = LIST;
    const CSV: &'static [&'static str] =
        &["token_id", "label", "role", "property_id", "issued_at", "expires_at", "revoked_at"];

    async fn page(
        asked: &Asked,
        connection: &mut PgConnection,
        paging: &Paging,
    ) -> Result<projections::Page<Self>, Problem> {
        shown(access_token::list(connection, asked.visibility, paging).await)
    }
}
