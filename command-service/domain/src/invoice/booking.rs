//! Money that moved at Stripe, and credit: booked once, whatever else happened.

use events::{
    AutopayId, CreditId, InvoiceEvent, InvoiceId, Money, OrganizationId, PaymentId, RefundId, Role,
    invoice::{PaymentSource, ReversalReason},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Invoice, InvoiceRefusal, PROCESS};
use crate::{Command, Context, Decision, Facts, Need};

/// Books the money of an online payment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyPayment {
    pub invoice_id: InvoiceId,
    pub payment_id: PaymentId,
    pub amount: Money,
    /// Set when it was autopay that paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autopay_id: Option<AutopayId>,
}

/// Books a refund.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReversePayment {
    pub invoice_id: InvoiceId,
    pub payment_id: PaymentId,
    pub refund_id: RefundId,
    pub amount: Money,
}

/// Books that the payer's bank took money back: until a dispute is decided, or for good.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReverseDisputed {
    pub invoice_id: InvoiceId,
    pub payment_id: PaymentId,
    pub dispute: String,
    pub amount: Money,
    /// A bank debit that came back.
    pub returned: bool,
    pub code: String,
}

/// Books that a dispute was won.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReinstatePayment {
    pub invoice_id: InvoiceId,
    pub payment_id: PaymentId,
    pub dispute: String,
    pub amount: Money,
}

/// Books that a refund came back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoRefund {
    pub invoice_id: InvoiceId,
    pub payment_id: PaymentId,
    pub refund_id: RefundId,
    pub amount: Money,
}

/// Books credit that was set aside for the invoice.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyCredit {
    pub invoice_id: InvoiceId,
    pub credit_id: CreditId,
    /// The number of what was spent of the credit.
    pub number: u32,
    pub amount: Money,
}

impl Command for ApplyPayment {
    type Aggregate = Invoice;
    const NAME: &'static str = "ApplyPayment";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    /// Money that Stripe has is booked whatever else happened; what was not due is the resident's credit.
    fn decide(self, state: &Invoice, _: &Context) -> Decision<Invoice> {
        let (terms, _) = state.drafted()?;
        if state.applied_online(self.payment_id).is_some() {
            return Ok(vec![]);
        }
        let Self { payment_id, amount, .. } = self;
        let resident_id = terms.resident;
        let source = match self.autopay_id {
            Some(autopay_id) => PaymentSource::Autopay { autopay_id },
            None => PaymentSource::Online,
        };
        state.received(payment_id, amount, |balance| InvoiceEvent::PaymentApplied {
            payment_id,
            resident_id,
            amount,
            balance,
            source,
        })
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for ReversePayment {
    type Aggregate = Invoice;
    const NAME: &'static str = "ReversePayment";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    fn decide(self, state: &Invoice, _: &Context) -> Decision<Invoice> {
        let known = state.applied_online(self.payment_id).ok_or(InvoiceRefusal::NoSuchPayment)?;
        if known.refunds.contains(&self.refund_id) || self.amount.is_zero() {
            return Ok(vec![]);
        }
        Ok(state.reopening([InvoiceEvent::PaymentReversed {
            payment_id: self.payment_id,
            amount: self.amount,
            balance: state.balance()?.checked_add(self.amount)?,
            reason: ReversalReason::Refund { refund_id: self.refund_id },
        }]))
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for ReverseDisputed {
    type Aggregate = Invoice;
    const NAME: &'static str = "ReverseDisputed";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    fn decide(self, state: &Invoice, _: &Context) -> Decision<Invoice> {
        let known = state.applied_online(self.payment_id).ok_or(InvoiceRefusal::NoSuchPayment)?;
        if known.dispute(&self.dispute).is_some() || self.amount.is_zero() {
            return Ok(vec![]);
        }
        let Self { payment_id, dispute, amount, code, .. } = self;
        let reason =
            if self.returned { ReversalReason::Return { dispute, code } } else { ReversalReason::Dispute { dispute } };
        let balance = state.balance()?.checked_add(amount)?;
        Ok(state.reopening([InvoiceEvent::PaymentReversed { payment_id, amount, balance, reason }]))
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for ReinstatePayment {
    type Aggregate = Invoice;
    const NAME: &'static str = "ReinstatePayment";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    fn decide(self, state: &Invoice, _: &Context) -> Decision<Invoice> {
        let known = state.applied_online(self.payment_id).ok_or(InvoiceRefusal::NoSuchPayment)?;
        let Self { payment_id, dispute, amount, .. } = self;
        if amount.is_zero() {
            return Ok(vec![]);
        }
        // A word that overtook the reversal comes again after it: what never left cannot come back.
        let reversal = known.dispute(&dispute).ok_or(InvoiceRefusal::NotDisputed)?;
        if reversal.reinstated {
            return Ok(vec![]);
        }
        state.received(payment_id, amount, |balance| InvoiceEvent::PaymentReinstated {
            payment_id,
            amount,
            balance,
            dispute,
        })
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for UndoRefund {
    type Aggregate = Invoice;
    const NAME: &'static str = "UndoRefund";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    fn decide(self, state: &Invoice, _: &Context) -> Decision<Invoice> {
        let Self { payment_id, refund_id, amount, .. } = self;
        let known = state.applied_online(payment_id).ok_or(InvoiceRefusal::NoSuchPayment)?;
        if amount.is_zero() || known.undone.contains(&refund_id) {
            return Ok(vec![]);
        }
        // A word that overtook the refund's comes again after it.
        if !known.refunds.contains(&refund_id) {
            return Err(InvoiceRefusal::NotRefunded);
        }
        state.received(payment_id, amount, |balance| InvoiceEvent::RefundUndone {
            payment_id,
            refund_id,
            amount,
            balance,
        })
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for ApplyCredit {
    type Aggregate = Invoice;
    const NAME: &'static str = "ApplyCredit";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    fn needs(&self, _: &Invoice, _: &Facts) -> Vec<Need> {
        vec![Need::Credit(self.credit_id)]
    }

    /// Wholly or not at all: what the invoice refuses goes back to the credit, and then a repeat must not take it after all.
    fn decide(self, state: &Invoice, context: &Context) -> Decision<Invoice> {
        let Self { credit_id, number, amount, .. } = self;
        let returned = context.facts.credit.as_ref().is_some_and(|credit| credit.was_returned(number));
        if returned || state.took(credit_id, number) {
            return Ok(vec![]);
        }
        let (terms, _) = state.payable()?;
        if state.claim.is_some() {
            return Err(InvoiceRefusal::PaymentInFlight);
        }
        let balance = state.balance()?;
        if amount.currency() != balance.currency() {
            return Err(InvoiceRefusal::WrongCurrency { expected: balance.currency() });
        }
        if !amount.is_positive() || amount > balance {
            return Err(InvoiceRefusal::MoreThanBalance { balance });
        }
        let (resident_id, balance) = (terms.resident, balance.checked_sub(amount)?);
        Ok(state.reopening([InvoiceEvent::CreditApplied { credit_id, number, resident_id, amount, balance }]))
    }

    fn example() -> Value {
        Value::Null
    }
}
