//! Payments: the history, and one attempt with its refunds.

use chrono::NaiveDate;
use edge::Problem;
use poem_openapi::Object;
use projections::{
    Paging, Visibility,
    payment::{self, Filter, PaymentView, RefundItem, SortBy},
    stripe_account,
};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    answer::Money,
    asked::Asked,
    detail::{Detailed, Stream},
    instant::Instant,
    listing::{Listed, shown},
    operation::{self, Kind, MANAGERS_AND_RESIDENTS, Operation},
    reading::refused,
};

/// `GET /v1/payments`
pub const LIST: Operation = Operation {
    method: "GET",
    path: "/v1/payments",
    tag: "Payments",
    summary: "List payments, online and by hand",
    roles: MANAGERS_AND_RESIDENTS,
    reach: "Managers see all payments in their scope, residents their own. Quotes that nobody went on to pay are in no list.",
    filters: &[
        operation::Filter {
            name: "status",
            kind: Kind::Choice(&["Pending", "Succeeded", "Failed", "Refunded"]),
            description: "Only this status.",
            example: "Succeeded",
        },
        operation::Filter {
            name: "kind",
            kind: Kind::Choice(&["Online", "Offline"]),
            description: "Only through Stripe, or only by hand.",
            example: "Online",
        },
        operation::PROPERTY,
        operation::RESIDENT,
        operation::INVOICE,
        operation::Filter {
            name: "from",
            kind: Kind::Time,
            description: "Requested at or after this instant.",
            example: "2026-01-01T00:00:00Z",
        },
        operation::Filter {
            name: "until",
            kind: Kind::Time,
            description: "Requested before this instant.",
            example: "2026-02-01T00:00:00Z",
        },
        operation::Filter {
            name: "unresolved",
            kind: Kind::Flag,
            description: "`true`: only those that somebody has to look at.",
            example: "true",
        },
    ],
    sorts: &["-requested_at", "requested_at", "amount", "-amount"],
    example: include_str!("examples/payment.json"),
};

/// `GET /v1/payments/{id}`
pub const DETAIL: Operation = Operation {
    method: "GET",
    path: "/v1/payments/{id}",
    tag: "Payments",
    summary: "Show a payment with its refunds",
    roles: MANAGERS_AND_RESIDENTS,
    reach: "Managers see the payments in their scope, residents their own, quotes included. `client_secret` goes to the paying resident alone.",
    filters: &[],
    sorts: &[],
    example: include_str!("examples/payment_detail.json"),
};

/// A refund of an online payment.
#[derive(Debug, Clone, Object)]
pub struct Refund {
    pub refund_id: Uuid,
    /// `Pending`, `Unknown`, `Succeeded` or `Failed`.
    pub status: String,
    /// What the resident gets back.
    pub amount: Money,
    /// What left the invoice.
    pub reversed: Money,
    /// Why Stripe refused it.
    pub code: Option<String>,
    pub note: Option<String>,
    pub requested_at: Instant,
    pub settled_at: Option<Instant>,
}

/// One attempt to pay an invoice.
#[derive(Debug, Clone, Object)]
pub struct Payment {
    pub payment_id: Uuid,
    /// `Pending`, `Succeeded`, `Failed` or `Refunded`.
    pub status: String,
    /// Finer: `Quoted`, `Pending`, `ActionRequired`, `Processing`, `Declined`, `Unknown`, `Succeeded`, `Canceled` or `Quarantined`.
    pub phase: String,
    /// `Online` or `Offline`.
    pub kind: String,
    /// What the invoice is credited with.
    pub amount: Money,
    pub fee: Money,
    /// What was or will be charged.
    pub total: Money,
    /// What the resident got back.
    pub refunded: Money,
    /// What left the invoice again.
    pub reversed: Money,
    /// `Visa ****4242`, `Card`, `Cash`, `Check` or `Other`.
    pub method: String,
    pub card_brand: Option<String>,
    pub card_last4: Option<String>,
    /// A check's number or the like.
    pub reference: Option<String>,
    /// The day on which a payment by hand was received.
    pub received_on: Option<NaiveDate>,
    pub failure_code: Option<String>,
    pub decline_code: Option<String>,
    /// Why it ended without money, or why it was taken back: `Requested`, `Expired`, `Rejected`, …
    pub cancellation: Option<String>,
    /// Somebody has to look at it.
    pub unresolved: bool,
    pub invoice_id: Uuid,
    pub invoice_title: Option<String>,
    pub property_id: Option<Uuid>,
    pub property_name: Option<String>,
    /// The IANA name of the property's zone.
    pub time_zone: Option<String>,
    pub unit_label: Option<String>,
    pub resident_id: Uuid,
    /// Null when it was erased.
    pub resident_name: Option<String>,
    pub quoted_at: Option<Instant>,
    pub requested_at: Option<Instant>,
    pub succeeded_at: Option<Instant>,
    pub ended_at: Option<Instant>,
    pub expires_at: Option<Instant>,
    pub refunds: Vec<Refund>,
    /// What `If-Match` expects; zero for payments by hand, which live with their invoice.
    pub version: i64,
}

/// A payment and what is needed to complete it.
#[derive(Clone, Object)]
pub struct PaymentDetail {
    #[oai(flatten)]
    pub payment: Payment,
    /// Stripe's `pi_…`.
    pub intent: Option<String>,
    pub stripe_account_id: Option<Uuid>,
    /// Stripe's `acct_…`, which Stripe's form needs beside the secret.
    pub stripe_account: Option<String>,
    /// For Stripe's form, while the payment can be completed; only its resident gets it.
    #[oai(skip_serializing_if_is_none)]
    pub client_secret: Option<String>,
}

impl std::fmt::Debug for PaymentDetail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PaymentDetail").field("payment", &self.payment).finish_non_exhaustive()
    }
}

impl From<PaymentView> for Payment {
    fn from(view: PaymentView) -> Self {
        let row = view.payment;
        let money = |amount| Money::of(amount, &row.currency);
        Self {
            payment_id: row.payment_id,
            status: row.status,
            phase: row.phase,
            kind: row.kind,
            amount: money(row.amount),
            fee: money(row.fee),
            total: money(row.total),
            refunded: money(row.refunded),
            reversed: money(row.reversed),
            method: row.method,
            card_brand: row.card_brand,
            card_last4: row.card_last4,
            reference: row.reference,
            received_on: row.received_on,
            failure_code: row.failure_code,
            decline_code: row.decline_code,
            cancellation: row.cancellation.as_ref().and_then(variant),
            unresolved: row.unresolved,
            invoice_id: row.invoice_id,
            invoice_title: view.invoice_title,
            property_id: row.property_id,
            property_name: view.property_name,
            time_zone: view.time_zone,
            unit_label: view.unit_label,
            resident_id: row.resident_id,
            resident_name: view.resident_name,
            quoted_at: row.quoted_at.map(Instant),
            requested_at: row.requested_at.map(Instant),
            succeeded_at: row.succeeded_at.map(Instant),
            ended_at: row.ended_at.map(Instant),
            expires_at: row.expires_at.map(Instant),
            refunds: row.refunds.into_iter().map(|refund| Refund::of(refund, &row.currency)).collect(),
            version: row.version,
        }
    }
}

/// The name of an enum's variant, with or without fields.
fn variant(value: &Value) -> Option<String> {
    match value {
        Value::String(name) => Some(name.clone()),
        Value::Object(fields) => fields.keys().next().cloned(),
        _ => None,
    }
}

impl Refund {
    fn of(item: RefundItem, currency: &str) -> Self {
        Self {
            refund_id: item.refund_id,
            status: item.status,
            amount: Money::of(item.amount, currency),
            reversed: Money::of(item.reversed, currency),
            code: item.code,
            note: item.note,
            requested_at: Instant(item.requested_at),
            settled_at: item.settled_at.map(Instant),
        }
    }
}

impl Listed for Payment {
    const OPERATION: Operation = LIST;
    const CSV: &'static [&'static str] = &[
        "payment_id",
        "status",
        "phase",
        "kind",
        "amount.amount",
        "fee.amount",
        "total.amount",
        "refunded.amount",
        "reversed.amount",
        "amount.currency",
        "method",
        "reference",
        "received_on",
        "failure_code",
        "decline_code",
        "cancellation",
        "unresolved",
        "invoice_id",
        "invoice_title",
        "property_id",
        "property_name",
        "time_zone",
        "unit_label",
        "resident_id",
        "resident_name",
        "requested_at",
        "succeeded_at",
        "ended_at",
    ];

    async fn page(
        asked: &Asked,
        connection: &mut PgConnection,
        paging: &Paging,
    ) -> Result<projections::Page<Self>, Problem> {
        let parameters = &asked.parameters;
        let filter = Filter {
            visibility: asked.visibility,
            status: parameters.value("status"),
            kind: parameters.value("kind"),
            property: parameters.value("property_id"),
            resident: parameters.value("resident_id"),
            invoice: parameters.value("invoice_id"),
            from: parameters.value("from"),
            until: parameters.value("until"),
            unresolved: parameters.value("unresolved").unwrap_or_default(),
        };
        let (key, descending) = parameters.order();
        let sort = if key == "amount" { SortBy::Amount } else { SortBy::RequestedAt };
        shown(payment::list(connection, &filter, sort, descending, paging).await)
    }
}

impl Detailed for PaymentDetail {
    const OPERATION: Operation = DETAIL;

    async fn find(asked: &Asked, connection: &mut PgConnection, id: Uuid) -> Result<Option<Self>, Problem> {
        let found = payment::detail(connection, asked.visibility, id).await.map_err(refused)?;
        let Some(mut found) = found else { return Ok(None) };
        let row = &mut found.payment;
        let (intent, client_secret, account) = (row.intent.take(), row.client_secret.take(), row.stripe_account_id);
        // Whoever sees the payment sees which account takes it.
        let stripe_account = match account {
            Some(id) => stripe_account::detail(connection, Visibility::default(), id).await.map_err(refused)?,
            None => None,
        };
        let stripe_account = stripe_account.and_then(|account| account.external_account);
        let payment = found.into();
        Ok(Some(Self { payment, intent, stripe_account_id: account, stripe_account, client_secret }))
    }

    fn tag(&self) -> Option<(Stream, i64)> {
        let version = Some(self.payment.version).filter(|version| *version > 0)?;
        Some((("payment", self.payment.payment_id), version))
    }

    fn related(&self) -> Vec<Stream> {
        let mut streams = vec![("invoice", self.payment.invoice_id), ("resident", self.payment.resident_id)];
        streams.extend(self.payment.property_id.map(|id| ("property", id)));
        streams.extend(self.stripe_account_id.map(|id| ("stripe-account", id)));
        streams
    }
}
