//! After a charge, or instead of one: settled, withdrawn, not needed any more.

use events::{AutopayEvent, AutopayId, InvoiceId, OrganizationId, PaymentId, Role, autopay::ResumeReason};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Autopay, ChargeEnd, PROCESS};
use crate::{Command, Context, Decision};

/// Records that a charge went through.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettleCharge {
    pub autopay_id: AutopayId,
    pub payment_id: PaymentId,
}

/// Records that a charge ended without an answer from any bank: no retry is used up.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawCharge {
    pub autopay_id: AutopayId,
    pub payment_id: PaymentId,
}

/// Records that an invoice needs no charge any more: paid another way, voided or written off.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseInvoice {
    pub autopay_id: AutopayId,
    pub invoice_id: InvoiceId,
}

/// The end of the pause, when it was for this invoice and the method can go on.
fn resumed(state: &Autopay, invoice: InvoiceId, because: ResumeReason) -> Option<AutopayEvent> {
    let pause = state.pause()?;
    let for_it = state.failure.is_some_and(|failure| failure.invoice == invoice);
    (for_it && !pause.new_method_required).then(|| {
        let waiting = state.waiting().into_iter().filter(|waiting| *waiting != invoice).collect();
        AutopayEvent::AutopayResumed { because, waiting }
    })
}

impl Command for SettleCharge {
    type Aggregate = Autopay;
    const NAME: &'static str = "SettleCharge";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.autopay_id.0
    }

    fn decide(self, state: &Autopay, _: &Context) -> Decision<Autopay> {
        let charge = state.known_charge(self.payment_id)?;
        match charge.end {
            Some(ChargeEnd::Succeeded | ChargeEnd::Returned) => return Ok(vec![]),
            // Money is the stronger word: whatever was thought before, the charge went through.
            None | Some(ChargeEnd::Failed | ChargeEnd::Withdrawn) => {}
        }
        let succeeded = AutopayEvent::ChargeSucceeded { payment_id: self.payment_id, invoice_id: charge.invoice };
        let because = if charge.attempt > 0 { ResumeReason::RetrySucceeded } else { ResumeReason::InvoiceSettled };
        let resumed = state.concerns(charge).then(|| resumed(state, charge.invoice, because)).flatten();
        Ok(std::iter::once(succeeded).chain(resumed).collect())
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for WithdrawCharge {
    type Aggregate = Autopay;
    const NAME: &'static str = "WithdrawCharge";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.autopay_id.0
    }

    fn decide(self, state: &Autopay, _: &Context) -> Decision<Autopay> {
        state.known()?;
        // A payment that was given up before it was authorized is none of autopay's charges.
        Ok(match state.charge(self.payment_id) {
            Some(charge) if charge.end.is_none() => {
                vec![AutopayEvent::ChargeWithdrawn { payment_id: self.payment_id, invoice_id: charge.invoice }]
            }
            Some(_) | None => vec![],
        })
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for ReleaseInvoice {
    type Aggregate = Autopay;
    const NAME: &'static str = "ReleaseInvoice";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.autopay_id.0
    }

    /// Those that only wait or are held need no word: the last look finds them settled.
    fn decide(self, state: &Autopay, _: &Context) -> Decision<Autopay> {
        state.known()?;
        // Its own end is about to tell whether it was the retry that settled the invoice.
        if state.in_flight(self.invoice_id).is_some() {
            return Ok(vec![]);
        }
        Ok(resumed(state, self.invoice_id, ResumeReason::InvoiceSettled).into_iter().collect())
    }

    fn example() -> Value {
        Value::Null
    }
}
