//! The claim on an invoice: one payment at a time, from before the call to Stripe until its outcome is known.

use events::{InvoiceEvent, InvoiceId, Money, OrganizationId, PaymentId, Role, invoice::ReleaseReason};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Invoice, InvoiceRefusal, PROCESS};
use crate::{Command, Context, Decision};

/// Claims the invoice for an online payment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReservePayment {
    pub invoice_id: InvoiceId,
    pub payment_id: PaymentId,
    pub amount: Money,
    /// The amount must be the whole balance, of an invoice that is still expected to be paid.
    #[serde(default)]
    pub whole: bool,
}

/// Ends a claim without money.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleasePayment {
    pub invoice_id: InvoiceId,
    pub payment_id: PaymentId,
    pub reason: ReleaseReason,
}

impl Command for ReservePayment {
    type Aggregate = Invoice;
    const NAME: &'static str = "ReservePayment";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    fn decide(self, state: &Invoice, _: &Context) -> Decision<Invoice> {
        let claimed = state.claim.is_some_and(|(holder, _)| holder == self.payment_id);
        if claimed || state.is_over(self.payment_id) {
            return Ok(vec![]);
        }
        // One id for two moneys would confuse whoever reads the books.
        if state.applied_by_hand(self.payment_id).is_some() {
            return Err(InvoiceRefusal::PaymentIdTaken);
        }
        if self.whole {
            state.admits_whole(self.amount)?;
        } else {
            state.admits(self.amount)?;
        }
        Ok(vec![InvoiceEvent::PaymentReserved { payment_id: self.payment_id, amount: self.amount }])
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for ReleasePayment {
    type Aggregate = Invoice;
    const NAME: &'static str = "ReleasePayment";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    /// Also without a claim: a reservation that is late must not claim for a payment that is over.
    fn decide(self, state: &Invoice, _: &Context) -> Decision<Invoice> {
        state.drafted()?;
        if state.is_over(self.payment_id) {
            return Ok(vec![]);
        }
        Ok(vec![InvoiceEvent::PaymentReleased { payment_id: self.payment_id, reason: self.reason }])
    }

    fn example() -> Value {
        Value::Null
    }
}
