//! Stripe accounts: the badge and the state behind it.

use edge::Problem;
use poem_openapi::Object;
use projections::{
    Page, Paging,
    stripe_account::{self, StripeAccountRow},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    asked::Asked,
    detail::{Detailed, Stream},
    instant::Instant,
    listing::{Listed, shown},
    operation::{ADMINS, Operation},
    reading::refused,
};

/// `GET /v1/stripe-accounts`
pub const LIST: Operation = Operation {
    method: "GET",
    path: "/v1/stripe-accounts",
    tag: "Stripe accounts",
    summary: "List Stripe accounts by name",
    roles: ADMINS,
    reach: "Organization managers see all accounts, property admins that of their property.",
    filters: &[],
    sorts: &["name"],
    example: include_str!("examples/stripe_account.json"),
};

/// `GET /v1/stripe-accounts/{id}`
pub const DETAIL: Operation = Operation {
    method: "GET",
    path: "/v1/stripe-accounts/{id}",
    tag: "Stripe accounts",
    summary: "Show a Stripe account",
    roles: ADMINS,
    reach: "Organization managers see all accounts, property admins that of their property.",
    filters: &[],
    sorts: &[],
    example: include_str!("examples/stripe_account.json"),
};

/// A connected Stripe account.
#[derive(Debug, Clone, Object)]
pub struct StripeAccount {
    pub stripe_account_id: Uuid,
    pub name: String,
    /// `Connected` or `Disconnected`.
    pub badge: String,
    /// `NotConnected`, `OnboardingStarted`, `PendingVerification`, `Active`, `Restricted` or `Disabled`.
    pub status: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// Stripe's `acct_…`.
    pub external_account: Option<String>,
    /// Why Stripe refused to open it.
    pub failure_code: Option<String>,
    pub requested_at: Instant,
    pub disconnected_at: Option<Instant>,
    /// What `If-Match` expects.
    pub version: i64,
}

impl From<StripeAccountRow> for StripeAccount {
    fn from(row: StripeAccountRow) -> Self {
        Self {
            stripe_account_id: row.stripe_account_id,
            name: row.name,
            badge: row.badge,
            status: row.status,
            country: row.country,
            external_account: row.external_account,
            failure_code: row.failure_code,
            requested_at: Instant(row.requested_at),
            disconnected_at: row.disconnected_at.map(Instant),
            version: row.version,
        }
    }
}

impl Listed for StripeAccount {
    const OPERATION: Operation = LIST;
    const CSV: &'static [&'static str] = &[
        "stripe_account_id",
        "name",
        "badge",
        "status",
        "country",
        "external_account",
        "failure_code",
        "requested_at",
        "disconnected_at",
        "version",
    ];

    async fn page(asked: &Asked, connection: &mut PgConnection, paging: &Paging) -> Result<Page<Self>, Problem> {
        shown(stripe_account::list(connection, asked.visibility, paging).await)
    }
}

impl Detailed for StripeAccount {
    const OPERATION: Operation = DETAIL;

    async fn find(asked: &Asked, connection: &mut PgConnection, id: Uuid) -> Result<Option<Self>, Problem> {
        let found = stripe_account::detail(connection, asked.visibility, id).await.map_err(refused)?;
        Ok(found.map(Self::from))
    }

    fn tag(&self) -> Option<(Stream, i64)> {
        Some((("stripe-account", self.stripe_account_id), self.version))
    }
}
