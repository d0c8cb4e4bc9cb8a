//! Stripe accounts: the badge and the state behind it.

use edge::Problem;
use events::stripe_account::DifferenceKind;
use poem_openapi::Object;
use projections::{
    Page, Paging,
    stripe_account::{self, ReconciliationItem, StripeAccountRow},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    answer::Money,
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
    summary: "Show a Stripe account and its last reconciliation",
    roles: ADMINS,
    reach: "Organization managers see all accounts, property admins that of their property.",
    filters: &[],
    sorts: &[],
    example: include_str!("examples/stripe_account_detail.json"),
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

/// Where the books and Stripe disagree.
#[derive(Debug, Clone, Object)]
pub struct Difference {
    /// `NotBooked`, `NotAtStripe`, `Amount`, `Fee` or `Payout`.
    pub kind: String,
    /// Stripe's id of what differs.
    pub reference: String,
    /// What the books say.
    pub booked: Option<Money>,
    /// What Stripe says.
    pub seen: Option<Money>,
}

/// The last comparison of the books with Stripe's balance transactions.
#[derive(Debug, Clone, Object)]
pub struct Reconciliation {
    pub at: Instant,
    pub from: Instant,
    pub until: Instant,
    /// Balance transactions that were compared.
    pub compared: u32,
    /// Empty: the books agree.
    pub differences: Vec<Difference>,
}

/// A Stripe account and how the books compare with it.
#[derive(Debug, Clone, Object)]
pub struct StripeAccountDetail {
    #[oai(flatten)]
    pub account: StripeAccount,
    /// Null: there was none yet.
    pub reconciliation: Option<Reconciliation>,
}

impl Reconciliation {
    fn of(item: ReconciliationItem) -> Self {
        Self {
            at: Instant(item.at),
            from: Instant(item.from),
            until: Instant(item.until),
            compared: item.compared,
            differences: item.differences.into_iter().map(Difference::of).collect(),
        }
    }
}

impl Difference {
    fn of(found: events::stripe_account::Difference) -> Self {
        let kind = match found.kind {
            DifferenceKind::NotBooked => "NotBooked",
            DifferenceKind::NotAtStripe => "NotAtStripe",
            DifferenceKind::Amount => "Amount",
            DifferenceKind::Fee => "Fee",
            DifferenceKind::Payout => "Payout",
        };
        let money = |money: events::Money| Money::of(money.amount(), money.currency().code());
        Self {
            kind: kind.to_owned(),
            reference: found.reference,
            booked: found.booked.map(money),
            seen: found.seen.map(money),
        }
    }
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

impl Detailed for StripeAccountDetail {
    const OPERATION: Operation = DETAIL;

    async fn find(asked: &Asked, connection: &mut PgConnection, id: Uuid) -> Result<Option<Self>, Problem> {
        let found = stripe_account::detail(connection, asked.visibility, id).await.map_err(refused)?;
        Ok(found.map(|mut row| {
            let reconciliation = row.reconciliation.take().map(Reconciliation::of);
            Self { account: row.into(), reconciliation }
        }))
    }

    fn tag(&self) -> Option<(Stream, i64)> {
        Some((("stripe-account", self.account.stripe_account_id), self.account.version))
    }
}
