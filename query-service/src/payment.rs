//! Payments: the history, and one attempt with its refunds.

use edge::Problem;
use projections::{
    Paging, Visibility,
    payment::{self, Filter, SortBy},
    stripe_account,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    asked::Asked,
    detail::{Detailed, Stream},
    listing::{Listed, shown},
    operation::{self, Kind, MANAGERS_AND_RESIDENTS, Operation},
    payment_shape::{Payment, PaymentDetail},
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
        operation::Filter {
            name: "autopay",
            kind: Kind::Flag,
            description: "`true`: only those that autopay made; `false`: only the others.",
            example: "true",
        },
        operation::Filter {
            name: "disputed",
            kind: Kind::Flag,
            description: "`true`: only those that the payer's bank took back, whatever came of it.",
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
        "method_kind",
        "autopay_id",
        "dispute.status",
        "dispute.amount.amount",
        "settlement.fee.amount",
        "settlement.net.amount",
        "settlement.net.currency",
        "settlement.available_at",
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
            autopay: parameters.value("autopay"),
            disputed: parameters.value("disputed").unwrap_or_default(),
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
