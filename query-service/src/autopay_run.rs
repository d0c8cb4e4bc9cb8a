//! The progress of a day's charges.

use chrono::NaiveDate;
use edge::Problem;
use poem_openapi::Object;
use projections::autopay;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    asked::Asked,
    instant::Instant,
    operation::{self, Kind, MANAGERS, Operation},
    reading::refused,
};

/// `GET /v1/autopay/run`
pub const RUN: Operation = Operation {
    method: "GET",
    path: "/v1/autopay/run",
    tag: "Autopay",
    summary: "Show how far a day's charges are",
    roles: MANAGERS,
    reach: "Managers see the properties in their scope.",
    filters: &[
        operation::PROPERTY,
        operation::Filter {
            name: "due_on",
            kind: Kind::Date,
            description: "The invoices due on this day; without it, today in each property's zone.",
            example: "2026-02-01",
        },
    ],
    sorts: &[],
    example: include_str!("examples/autopay_run.json"),
};

/// The invoices due on one day that autopay takes care of, each counted once: the figures from `charged` to `settled_otherwise`
/// add up to `total`.
#[derive(Debug, Clone, Object)]
pub struct AutopayRun {
    /// The moment of the business clock.
    pub at: Instant,
    pub property_id: Option<Uuid>,
    /// Null: today in each property's zone.
    pub due_on: Option<NaiveDate>,
    pub total: i64,
    /// Autopay took the money.
    pub charged: i64,
    /// A charge was begun and has no outcome yet; a bank debit takes days.
    pub in_flight: i64,
    /// A charge was declined or came back, and none has succeeded since.
    pub failed: i64,
    /// Autopay is paused because of another invoice.
    pub waiting: i64,
    /// Above the resident's cap: they are asked.
    pub held: i64,
    pub not_yet: i64,
    /// Paid by hand, by credit, or by the resident in person.
    pub settled_otherwise: i64,
    /// Of those in flight: somebody has to look.
    pub unresolved: i64,
}

impl AutopayRun {
    /// The run that was asked for.
    pub async fn read(asked: &Asked, connection: &mut PgConnection) -> Result<Self, Problem> {
        let (property, due_on) = (asked.parameters.value("property_id"), asked.parameters.value("due_on"));
        let run = autopay::run(connection, asked.visibility, property, due_on, asked.now).await.map_err(refused)?;
        Ok(Self {
            at: Instant(asked.now),
            property_id: property,
            due_on,
            total: run.total,
            charged: run.charged,
            in_flight: run.in_flight,
            failed: run.failed,
            waiting: run.waiting,
            held: run.held,
            not_yet: run.not_yet,
            settled_otherwise: run.settled_otherwise,
            unresolved: run.unresolved,
        })
    }
}
