//! Money that came in by hand: recorded, and taken back when it was a slip or bounced.

use chrono::NaiveDate;
use events::{
    InvoiceEvent, InvoiceId, Money, OrganizationId, PaymentId, Role,
    invoice::{OfflineMethod, PaymentSource, ReversalReason},
    text::Line,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Invoice, InvoiceRefusal, MANAGERS};
use crate::{Command, Context, Decision};

/// Records cash, a check or a transfer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordOfflinePayment {
    pub invoice_id: InvoiceId,
    pub payment_id: PaymentId,
    pub amount: Money,
    pub method: OfflineMethod,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Line<100>>,
    #[serde(deserialize_with = "crate::day::day")]
    pub received_on: NaiveDate,
    /// What is beyond the balance becomes the resident's credit; otherwise it is refused.
    #[serde(default)]
    pub excess_to_credit: bool,
}

/// Takes back an offline payment that was recorded by mistake or whose check bounced.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrectOfflinePayment {
    pub invoice_id: InvoiceId,
    pub payment_id: PaymentId,
    pub note: Line<200>,
}

impl Command for RecordOfflinePayment {
    type Aggregate = Invoice;
    const NAME: &'static str = "RecordOfflinePayment";
    const ROLES: &'static [Role] = MANAGERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    fn decide(self, state: &Invoice, context: &Context) -> Decision<Invoice> {
        if let Some(known) = state.applied_by_hand(self.payment_id) {
            let same = known.amount == self.amount && known.offline == Some((self.method, self.received_on));
            return if same { Ok(vec![]) } else { Err(InvoiceRefusal::PaymentIdTaken) };
        }
        if state.applied_online(self.payment_id).is_some() || state.closed_claims.contains(&self.payment_id) {
            return Err(InvoiceRefusal::PaymentIdTaken);
        }
        let (terms, _) = state.payable()?;
        let today = context.today(terms.time_zone);
        if self.received_on > today {
            return Err(InvoiceRefusal::ReceivedInTheFuture { today });
        }
        match state.admits(self.amount) {
            Err(InvoiceRefusal::MoreThanBalance { .. }) if self.excess_to_credit => {}
            answer => answer?,
        }
        let Self { payment_id, amount, method, reference, received_on, .. } = self;
        let source = PaymentSource::Offline { method, reference, received_on };
        let resident_id = terms.resident;
        state.received(payment_id, amount, |balance| InvoiceEvent::PaymentApplied {
            payment_id,
            resident_id,
            amount,
            balance,
            source,
        })
    }

    fn example() -> Value {
        json!({
            "invoice_id": "01935c2e-0000-7000-8000-000000000301",
            "payment_id": "01935c2e-0000-7000-8000-000000000401",
            "amount": { "amount": 20_000, "currency": "CAD" },
            "method": "Check",
            "reference": "1042",
            "received_on": "2026-12-01"
        })
    }
}

impl Command for CorrectOfflinePayment {
    type Aggregate = Invoice;
    const NAME: &'static str = "CorrectOfflinePayment";
    const ROLES: &'static [Role] = MANAGERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    fn decide(self, state: &Invoice, _: &Context) -> Decision<Invoice> {
        state.drafted()?;
        let known =
            state.applied_by_hand(self.payment_id).ok_or_else(|| match state.applied_online(self.payment_id) {
                Some(_) => InvoiceRefusal::PaidOnline,
                None => InvoiceRefusal::NoSuchPayment,
            })?;
        if known.reversed == known.amount {
            return Ok(vec![]);
        }
        if state.claim.is_some() {
            return Err(InvoiceRefusal::PaymentInFlight);
        }
        Ok(state.reopening([InvoiceEvent::PaymentReversed {
            payment_id: self.payment_id,
            amount: known.amount,
            balance: state.balance()?.checked_add(known.amount)?,
            reason: ReversalReason::OfflineCorrection { note: self.note },
        }]))
    }

    fn example() -> Value {
        json!({
            "invoice_id": "01935c2e-0000-7000-8000-000000000301",
            "payment_id": "01935c2e-0000-7000-8000-000000000401",
            "note": "Check 1042 bounced"
        })
    }
}
