//! The reference model: reads the log as a careful accountant would, and says what must not have happened. It knows the rules
//! from their description only, nothing of the domain crate.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use events::TimeZone;
use serde_json::Value;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::enrollment::Enrollment;

/// One event, in the order of the log.
#[derive(Debug, Clone)]
pub struct Fact {
    pub position: i64,
    pub stream: String,
    pub id: Uuid,
    pub sequence: i64,
    pub name: String,
    pub body: Value,
    pub at: DateTime<Utc>,
    pub command: String,
}

impl Fact {
    pub fn id_of(&self, field: &str) -> Uuid {
        id(&self.body[field])
    }

    pub fn money(&self, field: &str) -> i64 {
        money(&self.body[field])
    }

    pub fn reference(&self) -> String {
        format!("{}/{}/{}", self.stream, self.id, self.sequence)
    }
}

pub fn id(value: &Value) -> Uuid {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

pub fn money(value: &Value) -> i64 {
    value["amount"].as_i64().unwrap_or_default()
}

fn day(value: &Value) -> NaiveDate {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Draft,
    Published,
    Voided,
}

/// Money that reached an invoice.
#[derive(Debug, Clone, Copy, Default)]
pub struct Applied {
    pub amount: i64,
    pub reversed: i64,
    pub offline: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Invoice {
    pub phase: Phase,
    pub total: i64,
    pub due_on: NaiveDate,
    pub claim: Option<(Uuid, i64)>,
    pub applied: BTreeMap<Uuid, Applied>,
    pub credited: i64,
    pub overpaid: i64,
    pub written_off: bool,
    /// When it became payable, or was last edited.
    pub dated: DateTime<Utc>,
    /// Money went back, or it was written off: what follows is the resident's decision.
    pub troubled: bool,
}

impl Invoice {
    pub fn balance(&self) -> i64 {
        let paid: i64 = self.applied.values().map(|applied| applied.amount - applied.reversed).sum();
        self.total - paid - self.credited + self.overpaid
    }

    pub fn payable(&self) -> bool {
        self.phase == Phase::Published && !self.written_off && self.balance() > 0
    }
}

#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts, each of which was told or not; their combinations are what is checked"
)]
pub struct Payment {
    pub invoice: Uuid,
    pub amount: i64,
    pub autopay: bool,
    pub requested: bool,
    pub submitting: bool,
    pub intent: Option<String>,
    pub declined: Vec<(String, Option<String>, Option<String>)>,
    pub succeeded: bool,
    pub canceled: bool,
    pub quarantined: bool,
}

impl Payment {
    pub const fn open(&self) -> bool {
        self.requested && !self.succeeded && !self.canceled && !self.quarantined
    }
}

/// What was read of an organization with one resident.
#[derive(Debug)]
pub struct Book {
    pub zone: TimeZone,
    pub facts: Vec<Fact>,
    pub invoices: BTreeMap<Uuid, Invoice>,
    pub payments: BTreeMap<Uuid, Payment>,
    pub enrollment: Enrollment,
    pub credit: i64,
    account_connected: bool,
    /// What must not have happened.
    pub wrongs: Vec<String>,
}

impl Book {
    pub fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            facts: Vec::new(),
            invoices: BTreeMap::new(),
            payments: BTreeMap::new(),
            enrollment: Enrollment::default(),
            credit: 0,
            account_connected: true,
            wrongs: Vec::new(),
        }
    }

    /// Reads on to the end of the log.
    pub async fn read(&mut self, pool: &PgPool, organization: Uuid) {
        let after = self.facts.last().map_or(0, |fact| fact.position);
        let rows = sqlx::query(
            "select entry.position, event.aggregate_type, event.aggregate_id, event.sequence, event.event_type,
                    event.payload::jsonb -> event.event_type as body, event.recorded_at,
                    event.metadata ->> 'command' as command
             from log.entries entry
             join log.events event on event.aggregate_type = entry.aggregate_type and event.sequence = entry.sequence
                 and event.stream_key = entry.organization_id::text || '/' || entry.aggregate_id
             where entry.organization_id = $1 and entry.position > $2 order by entry.position",
        )
        .bind(organization)
        .bind(after)
        .fetch_all(pool)
        .await
        .expect("events");
        for row in rows {
            let fact = Fact {
                position: row.get("position"),
                stream: row.get("aggregate_type"),
                id: row.get::<String, _>("aggregate_id").parse().unwrap_or_default(),
                sequence: row.get("sequence"),
                name: row.get("event_type"),
                body: row.get("body"),
                at: row.get("recorded_at"),
                command: row.get::<Option<String>, _>("command").unwrap_or_default(),
            };
            let expected = self.facts.last().map_or(1, |fact| fact.position + 1);
            self.must(fact.position == expected, || "positions are dense".to_owned(), &fact);
            self.take(&fact);
            self.facts.push(fact);
        }
    }

    pub fn must(&mut self, holds: bool, rule: impl FnOnce() -> String, fact: &Fact) {
        if !holds {
            let (rule, position) = (rule(), fact.position);
            self.wrongs.push(format!("{rule}: {position} {} {} {}", fact.name, fact.id, fact.body));
        }
    }

    fn take(&mut self, fact: &Fact) {
        match fact.stream.as_str() {
            "invoice" => self.of_invoice(fact),
            "payment" => self.of_payment(fact),
            "autopay" => {
                let mut enrollment = std::mem::take(&mut self.enrollment);
                enrollment.take(self, fact);
                self.enrollment = enrollment;
            }
            "credit" => self.of_credit(fact),
            "stripe-account" => self.of_account(fact),
            _ => {}
        }
    }

    fn of_invoice(&mut self, fact: &Fact) {
        let mut invoice = self.invoices.remove(&fact.id).unwrap_or_default();
        let before = invoice.balance();
        let free = invoice.claim.is_none();
        let published = invoice.phase == Phase::Published;
        match fact.name.as_str() {
            "InvoiceDrafted" | "InvoiceEdited" => {
                self.must(free, || "nothing is edited while a payment is in flight".to_owned(), fact);
                invoice.total = fact.money("total");
                invoice.due_on = day(&fact.body["due_on"]);
                invoice.dated = fact.at;
                self.must(invoice.balance() >= 0, || "no edit goes below what was paid".to_owned(), fact);
            }
            "InvoicePublished" => {
                invoice.phase = Phase::Published;
                invoice.dated = fact.at;
            }
            "InvoiceVoided" => {
                self.must(free, || "nothing is voided while a payment is in flight".to_owned(), fact);
                self.must(before == invoice.total, || "nothing is voided that has money on it".to_owned(), fact);
                invoice.phase = Phase::Voided;
            }
            "PaymentReserved" => {
                let (payment, amount) = (fact.id_of("payment_id"), fact.money("amount"));
                self.must(free && published, || "one claim at a time".to_owned(), fact);
                self.must(amount > 0 && amount <= before, || "no more is claimed than is due".to_owned(), fact);
                let known = self.payments.get(&payment).cloned().unwrap_or_default();
                self.must(
                    known.requested && known.amount == amount,
                    || "what is claimed was asked for".to_owned(),
                    fact,
                );
                if known.autopay {
                    self.must(
                        amount == before && !invoice.written_off,
                        || "autopay claims the whole balance of what is expected".to_owned(),
                        fact,
                    );
                }
                invoice.claim = Some((payment, amount));
            }
            "PaymentReleased" => {
                let payment = fact.id_of("payment_id");
                invoice.claim = invoice.claim.filter(|(holder, _)| *holder != payment);
            }
            "PaymentApplied" => {
                let (payment, amount) = (fact.id_of("payment_id"), fact.money("amount"));
                let offline = fact.body["source"].get("Offline").is_some();
                let unknown = !invoice.applied.contains_key(&payment);
                self.must(unknown, || "money is booked once".to_owned(), fact);
                if offline {
                    self.must(free, || "no check is booked while a payment is in flight".to_owned(), fact);
                } else {
                    let known = self.payments.get(&payment).cloned().unwrap_or_default();
                    let same = known.succeeded && (known.invoice, known.amount) == (fact.id, amount);
                    self.must(same, || "what is booked came in".to_owned(), fact);
                }
                invoice.claim = invoice.claim.filter(|(holder, _)| *holder != payment);
                invoice.applied.insert(payment, Applied { amount, reversed: 0, offline });
                self.must(fact.money("balance") == before - amount, || "the balance adds up".to_owned(), fact);
            }
            "OverpaymentCredited" => {
                let payment = fact.id_of("payment_id");
                let known = invoice.applied.get(&payment).copied().unwrap_or_default();
                self.must(
                    known.offline || known.reversed > 0 || invoice.troubled,
                    || "nobody is charged beyond the balance".to_owned(),
                    fact,
                );
                invoice.overpaid += fact.money("amount");
                let balance = invoice.balance();
                self.must(fact.money("balance") == balance, || "the balance adds up".to_owned(), fact);
                self.must(balance == 0 || !published, || "only the excess becomes credit".to_owned(), fact);
            }
            "PaymentReversed" | "PaymentReinstated" | "RefundUndone" => {
                let back = if fact.name == "PaymentReversed" { fact.money("amount") } else { -fact.money("amount") };
                let known = invoice.applied.entry(fact.id_of("payment_id")).or_default();
                known.reversed += back;
                let fits = known.reversed >= 0 && known.reversed <= known.amount;
                invoice.troubled = true;
                self.must(fits, || "no more goes back than came".to_owned(), fact);
                self.must(fact.money("balance") == before + back, || "the balance adds up".to_owned(), fact);
            }
            "CreditApplied" => {
                let amount = fact.money("amount");
                self.must(free && published && amount <= before, || "credit reaches what is due".to_owned(), fact);
                invoice.credited += amount;
                self.must(fact.money("balance") == before - amount, || "the balance adds up".to_owned(), fact);
            }
            "InvoiceWrittenOff" => {
                let overdue = self.zone.day_of(fact.at) > invoice.due_on;
                self.must(free && published && overdue, || "only what is overdue is written off".to_owned(), fact);
                self.must(fact.money("amount") == before, || "the balance is written off".to_owned(), fact);
                invoice.written_off = true;
                invoice.troubled = true;
            }
            "WriteOffUndone" => invoice.written_off = false,
            _ => {}
        }
        self.invoices.insert(fact.id, invoice);
    }

    fn of_payment(&mut self, fact: &Fact) {
        let mut payment = self.payments.remove(&fact.id).unwrap_or_default();
        match fact.name.as_str() {
            "PaymentQuoted" => {
                payment.invoice = fact.id_of("invoice_id");
                payment.amount = fact.money("amount");
                payment.autopay = !fact.body["autopay_id"].is_null();
            }
            "PaymentRequested" => payment.requested = true,
            "PaymentSubmitting" => {
                let claim = self.invoices.get(&payment.invoice).and_then(|invoice| invoice.claim);
                self.must(
                    claim == Some((fact.id, payment.amount)),
                    || "nothing is submitted without the claim".to_owned(),
                    fact,
                );
                if payment.autopay {
                    let charge = self.enrollment_charge(fact.id);
                    let request = &fact.body["request"];
                    let authorized = charge.is_some_and(|(invoice, amount, method)| {
                        (invoice, amount) == (payment.invoice, payment.amount) && request["payment_method"] == *method
                    });
                    self.must(authorized, || "nothing is charged without authorization".to_owned(), fact);
                }
                payment.submitting = true;
            }
            "PaymentSubmitted" => payment.intent = fact.body["intent"].as_str().map(str::to_owned),
            "PaymentDeclined" => {
                let text = |field: &str| fact.body[field].as_str().map(str::to_owned);
                payment.declined.push((text("code").unwrap_or_default(), text("decline_code"), text("advice")));
                self.must(!payment.succeeded, || "success is never undone by a decline".to_owned(), fact);
            }
            "PaymentSucceeded" => {
                self.must(!payment.succeeded, || "success is told once".to_owned(), fact);
                self.must(payment.submitting, || "only what was submitted succeeds".to_owned(), fact);
                payment.succeeded = true;
            }
            "PaymentCanceled" => {
                self.must(!payment.succeeded, || "success is never undone by a cancellation".to_owned(), fact);
                payment.canceled = true;
            }
            "PaymentQuarantined" => {
                payment.quarantined = true;
                self.must(false, || "nothing here differs from what was asked".to_owned(), fact);
            }
            "PaymentProcessing" => {
                self.must(!payment.succeeded, || "success is never undone by a stale word".to_owned(), fact);
            }
            _ => {}
        }
        self.payments.insert(fact.id, payment);
    }

    fn enrollment_charge(&self, payment: Uuid) -> Option<(Uuid, i64, &str)> {
        let charge = self.enrollment.charges.get(&payment)?;
        Some((charge.invoice, charge.amount, &charge.method))
    }

    fn of_credit(&mut self, fact: &Fact) {
        match fact.name.as_str() {
            "CreditAdded" => self.credit += fact.money("amount"),
            "CreditSpent" => self.credit -= fact.money("amount"),
            _ => {}
        }
        let credit = self.credit;
        self.must(credit >= 0 && fact.money("balance") == credit, || "credit adds up".to_owned(), fact);
    }

    fn of_account(&mut self, fact: &Fact) {
        match fact.name.as_str() {
            "StripeAccountDisconnected" => self.account_connected = false,
            "StripeReconnectionRequested" => self.account_connected = true,
            _ => {}
        }
    }

    pub const fn connected(&self) -> bool {
        self.account_connected
    }

    /// When autopay charges what is due on a day.
    pub fn moment(&self, due_on: NaiveDate, hour: u8) -> DateTime<Utc> {
        self.zone.at_hour(due_on, hour)
    }

    /// The failures by the event that tells of them.
    pub fn failures(&self) -> impl Iterator<Item = String> {
        self.facts.iter().filter(|fact| fact.name == "ChargeFailed").map(Fact::reference)
    }
}

/// Between a failure and the next attempt.
pub const DAY: TimeDelta = TimeDelta::hours(24);
