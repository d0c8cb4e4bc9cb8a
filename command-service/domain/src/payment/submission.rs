//! From the decision to pay to the call to Stripe, and the ways to give up.

use events::{
    OrganizationId, PaymentEvent, PaymentId, Role,
    payment::{CancelReason, FrozenIntent, UnknownCause},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{PROCESS, Payment, PaymentRefusal, Phase};
use crate::{Command, Context, Decision, Facts, Need};

/// Gives an unfinished payment up.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelPayment {
    pub payment_id: PaymentId,
}

/// Gives up a payment that was not completed in time, or that the invoice did not admit.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AbandonPayment {
    pub payment_id: PaymentId,
    pub reason: CancelReason,
}

/// Commits the intent to call Stripe.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitPayment {
    pub payment_id: PaymentId,
    /// For charges by autopay, and only for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_session: Option<OffSession>,
}

/// What a payment without its payer is made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OffSession {
    /// Stripe's `cus_…`.
    pub customer: String,
    /// Stripe's `pm_…`.
    pub payment_method: String,
}

/// Records that the call's outcome is not known.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordPaymentUnknown {
    pub payment_id: PaymentId,
    pub cause: UnknownCause,
}

fn cancel(state: &Payment, reason: CancelReason) -> Decision<Payment> {
    let (invoice_id, _) = state.asked().ok_or(PaymentRefusal::NotFound)?;
    match state.phase {
        Phase::None => Err(PaymentRefusal::NotFound),
        Phase::Succeeded | Phase::Quarantined => Err(PaymentRefusal::AlreadyPaid),
        Phase::Canceled | Phase::PreviewFailed => Ok(vec![]),
        Phase::Previewing | Phase::Quoted | Phase::Requested => Ok(vec![PaymentEvent::PaymentCanceled {
            invoice_id,
            reason,
            reserved: state.holds_claim(),
            autopay_id: state.autopay(),
        }]),
        // Stripe may have the money by now: it is asked, and its answer decides.
        Phase::Submitting | Phase::Submitted | Phase::ActionRequired => Ok(match state.cancellation {
            Some(_) => vec![],
            None => vec![PaymentEvent::PaymentCancellationRequested { reason }],
        }),
        Phase::Processing => Err(PaymentRefusal::NotOpen),
    }
}

impl Command for CancelPayment {
    type Aggregate = Payment;
    const NAME: &'static str = "CancelPayment";
    const ROLES: &'static [Role] =
        &[Role::Resident, Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    fn decide(self, state: &Payment, _: &Context) -> Decision<Payment> {
        // It would be begun again within a minute.
        if state.autopay().is_some() {
            return Err(PaymentRefusal::OfAutopay);
        }
        cancel(state, CancelReason::Requested)
    }

    fn example() -> Value {
        json!({ "payment_id": "01935c2e-0000-7000-8000-000000000402" })
    }
}

impl Command for AbandonPayment {
    type Aggregate = Payment;
    const NAME: &'static str = "AbandonPayment";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    fn decide(self, state: &Payment, _: &Context) -> Decision<Payment> {
        let (invoice_id, _) = state.asked().ok_or(PaymentRefusal::NotFound)?;
        match (&self.reason, &state.phase) {
            // What the invoice did not admit, the enrollment did not authorize, or Stripe refused, is over at once.
            (CancelReason::NotReserved { .. } | CancelReason::NotAuthorized { .. }, Phase::Requested)
            | (CancelReason::Rejected { .. }, Phase::Requested | Phase::Submitting) => {
                Ok(vec![PaymentEvent::PaymentCanceled {
                    invoice_id,
                    // Also when the claim was refused: closing it keeps a repeated reservation out.
                    reserved: true,
                    reason: self.reason,
                    autopay_id: state.autopay(),
                }])
            }
            // What was submitted had been reserved and authorized: the word is stale.
            (
                CancelReason::NotReserved { .. } | CancelReason::NotAuthorized { .. },
                Phase::Submitting | Phase::Submitted | Phase::ActionRequired,
            )
            | (_, Phase::Succeeded | Phase::Quarantined | Phase::Canceled | Phase::Processing) => Ok(vec![]),
            _ => cancel(state, self.reason),
        }
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for SubmitPayment {
    type Aggregate = Payment;
    const NAME: &'static str = "SubmitPayment";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    fn needs(&self, state: &Payment, _: &Facts) -> Vec<Need> {
        state.quote.iter().map(|quote| Need::StripeAccount(quote.account)).collect()
    }

    fn decide(self, state: &Payment, context: &Context) -> Decision<Payment> {
        let quote = state.quoted()?;
        if state.phase != Phase::Requested {
            return Ok(vec![]);
        }
        let (customer, payment_method) = match (self.off_session, quote.autopay) {
            (Some(method), Some(_)) => (Some(method.customer), Some(method.payment_method)),
            (None, None) => (None, None),
            (Some(_), None) | (None, Some(_)) => return Err(PaymentRefusal::OffSession),
        };
        let account = context.facts.stripe_account.as_ref().and_then(crate::StripeAccount::external);
        let account = account.ok_or(PaymentRefusal::StripeAccountNotReady)?;
        Ok(vec![PaymentEvent::PaymentSubmitting {
            request: FrozenIntent {
                account: account.to_owned(),
                amount: quote.total.amount(),
                currency: quote.total.currency().code().to_ascii_lowercase(),
                idempotency_key: Payment::idempotency_key(quote.invoice, self.payment_id),
                description: format!("Invoice {}", quote.invoice),
                kind: quote.kind,
                customer,
                payment_method,
                confirmation_token: state.confirmation_token.clone(),
            },
        }])
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for RecordPaymentUnknown {
    type Aggregate = Payment;
    const NAME: &'static str = "RecordPaymentUnknown";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    fn decide(self, state: &Payment, _: &Context) -> Decision<Payment> {
        state.quoted()?;
        Ok(if state.phase == Phase::Submitting && !state.unknown {
            vec![PaymentEvent::PaymentOutcomeUnknown { cause: self.cause }]
        } else {
            vec![]
        })
    }

    fn example() -> Value {
        Value::Null
    }
}
