//! Refunds of an online payment: requested, submitted, known.

use events::{Money, OrganizationId, PaymentEvent, PaymentId, RefundId, Role, payment::UnknownCause, text::Line};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Command, Context, Decision, Facts, Need,
    payment::{Dispute, DisputeState, PROCESS, Payment, PaymentRefusal, Phase, refund_key},
};

/// Gives a resident money back, wholly or in part.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefundPayment {
    pub payment_id: PaymentId,
    pub refund_id: RefundId,
    /// What the resident gets back; everything that is left by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Line<200>>,
}

/// Commits the intent to call Stripe for a refund.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitRefund {
    pub payment_id: PaymentId,
    pub refund_id: RefundId,
}

/// Records what Stripe says of a refund.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordRefund {
    pub payment_id: PaymentId,
    pub refund_id: RefundId,
    pub report: RefundReport,
}

/// Records a refund that Stripe shows and that nobody asked for here: somebody gave the money back in Stripe's dashboard.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordOutsideRefund {
    pub payment_id: PaymentId,
    /// Stripe's `re_…`.
    pub refund: String,
    /// Minor units, in the payment's currency.
    pub amount: i64,
    /// The refund of ours that it says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<RefundId>,
}

/// What is known of a refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RefundReport {
    Succeeded {
        refund: String,
    },
    Failed {
        code: String,
        /// Stripe's `re_…` when it is Stripe's word on that refund, not a call that was refused: only that undoes a success.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refund: Option<String>,
    },
    Unknown {
        cause: UnknownCause,
    },
}

/// Where a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundPhase {
    Requested,
    Submitting,
    Unknown,
    Succeeded,
    Failed,
}

/// A refund as decisions need it.
#[derive(Debug, Clone)]
pub struct Refund {
    pub id: RefundId,
    pub amount: Money,
    pub phase: RefundPhase,
    reversed: Money,
    /// Stripe's `re_…`, once it is known.
    external: Option<String>,
}

impl Refund {
    /// What a refund that was made in Stripe's dashboard is known by here.
    pub fn outside(payment: PaymentId, external: &str) -> RefundId {
        RefundId::derived(payment.0, external)
    }

    /// What of it left the invoice.
    pub(crate) const fn reversed(&self) -> Money {
        self.reversed
    }

    /// Folds one of the payment's refund events.
    pub(crate) fn evolve(refunds: &mut Vec<Self>, event: &PaymentEvent) {
        if let PaymentEvent::RefundSucceeded { refund_id, refund: external, .. }
        | PaymentEvent::RefundFailed { refund_id, refund: Some(external), .. } = event
            && let Some(refund) = refunds.iter_mut().find(|refund| refund.id == *refund_id)
        {
            refund.external = Some(external.clone());
        }
        let mut set = |id: &RefundId, phase: RefundPhase, reversed: Option<Money>| {
            if let Some(refund) = refunds.iter_mut().find(|refund| refund.id == *id) {
                refund.phase = phase;
                refund.reversed = reversed.unwrap_or(refund.reversed);
            }
        };
        match event {
            PaymentEvent::RefundRequested { refund_id, amount, .. } => {
                let reversed = Money::zero(amount.currency());
                let (phase, external) = (RefundPhase::Requested, None);
                refunds.push(Self { id: *refund_id, amount: *amount, phase, reversed, external });
            }
            PaymentEvent::RefundSubmitting { refund_id, .. } => set(refund_id, RefundPhase::Submitting, None),
            PaymentEvent::RefundOutcomeUnknown { refund_id, .. } => set(refund_id, RefundPhase::Unknown, None),
            PaymentEvent::RefundFailed { refund_id, .. } => set(refund_id, RefundPhase::Failed, None),
            PaymentEvent::RefundSucceeded { refund_id, reversed, .. } => {
                set(refund_id, RefundPhase::Succeeded, Some(*reversed));
            }
            PaymentEvent::RefundReturned { refund_id, amount, .. } => {
                set(refund_id, RefundPhase::Failed, Some(Money::zero(amount.currency())));
            }
            PaymentEvent::PaymentPreviewRequested { .. }
            | PaymentEvent::PaymentPreviewFailed { .. }
            | PaymentEvent::PaymentSettled { .. }
            | PaymentEvent::PaymentDisputed { .. }
            | PaymentEvent::PaymentDisputeClosed { .. }
            | PaymentEvent::PaymentQuoted { .. }
            | PaymentEvent::PaymentRequested { .. }
            | PaymentEvent::PaymentSubmitting { .. }
            | PaymentEvent::PaymentSubmitted { .. }
            | PaymentEvent::PaymentCancellationRequested { .. }
            | PaymentEvent::PaymentOutcomeUnknown { .. }
            | PaymentEvent::PaymentActionRequired {}
            | PaymentEvent::PaymentDeclined { .. }
            | PaymentEvent::PaymentProcessing { .. }
            | PaymentEvent::PaymentSucceeded { .. }
            | PaymentEvent::PaymentCanceled { .. }
            | PaymentEvent::PaymentResolved { .. }
            | PaymentEvent::PaymentQuarantined { .. } => {}
        }
    }
}

/// What has not been given back, asked to be, or taken back, of what was charged.
fn left(payment: &Payment, total: Money) -> Result<Money, PaymentRefusal> {
    let given = payment.refunds.iter().filter(|refund| refund.phase != RefundPhase::Failed).map(|refund| refund.amount);
    let taken = payment.disputes.iter().map(Dispute::taken);
    Ok(total.checked_sub(Money::sum(total.currency(), given.chain(taken))?)?)
}

impl Command for RefundPayment {
    type Aggregate = Payment;
    const NAME: &'static str = "RefundPayment";
    const ROLES: &'static [Role] = &[Role::OrganizationManager, Role::PropertyAdmin];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    fn needs(&self, state: &Payment, _: &Facts) -> Vec<Need> {
        state.quote.iter().map(|quote| Need::Invoice(quote.invoice)).collect()
    }

    fn decide(self, state: &Payment, context: &Context) -> Decision<Payment> {
        let quote = state.quoted()?;
        if state.phase != Phase::Succeeded {
            return Err(PaymentRefusal::NothingToRefund);
        }
        if let Some(known) = state.refunds.iter().find(|refund| refund.id == self.refund_id) {
            return if self.amount.is_none_or(|amount| amount == known.amount) {
                Ok(vec![])
            } else {
                Err(PaymentRefusal::RefundIdTaken)
            };
        }
        let open = [RefundPhase::Requested, RefundPhase::Submitting, RefundPhase::Unknown];
        if state.refunds.iter().any(|refund| open.contains(&refund.phase)) {
            return Err(PaymentRefusal::RefundInFlight);
        }
        if state.disputes.iter().any(|dispute| dispute.state == DisputeState::Open) {
            return Err(PaymentRefusal::Disputed);
        }
        // What was beyond the balance settles other invoices, or did already: given back as well, it would be given twice.
        let credited = context.facts.invoice.as_ref().map(|invoice| invoice.credited_from(self.payment_id));
        let credited = credited.transpose()?.unwrap_or(Money::zero(quote.total.currency()));
        let (all, amount) = (left(state, quote.total)?, self.amount);
        let left = all.checked_sub(credited)?;
        let amount = amount.unwrap_or(left);
        if credited.is_positive() && amount <= all && (amount > left || !left.is_positive()) {
            return Err(PaymentRefusal::BecameCredit { credited, left });
        }
        if !amount.is_positive() || amount.partial_cmp(&left).is_none_or(std::cmp::Ordering::is_gt) {
            return Err(PaymentRefusal::MoreThanLeft { left });
        }
        Ok(vec![PaymentEvent::RefundRequested { refund_id: self.refund_id, amount, note: self.note }])
    }

    fn example() -> Value {
        json!({
            "payment_id": "01935c2e-0000-7000-8000-000000000402",
            "refund_id": "01935c2e-0000-7000-8000-000000000501",
            "amount": { "amount": 5_000, "currency": "CAD" },
            "note": "Charged for the wrong month"
        })
    }
}

impl Command for SubmitRefund {
    type Aggregate = Payment;
    const NAME: &'static str = "SubmitRefund";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    fn decide(self, state: &Payment, _: &Context) -> Decision<Payment> {
        let known = state.refunds.iter().find(|refund| refund.id == self.refund_id).ok_or(PaymentRefusal::NotFound)?;
        let (Some(request), Some(intent)) = (&state.request, &state.intent) else {
            return Err(PaymentRefusal::NothingToRefund);
        };
        Ok(if known.phase == RefundPhase::Requested {
            vec![PaymentEvent::RefundSubmitting {
                refund_id: self.refund_id,
                amount: known.amount,
                intent: intent.clone(),
                account: request.account.clone(),
                idempotency_key: refund_key(self.refund_id),
            }]
        } else {
            vec![]
        })
    }

    fn example() -> Value {
        Value::Null
    }
}

/// The money is with the resident. The invoice's part goes first; only what is beyond it comes out of the fee.
fn given_back(
    state: &Payment,
    refund_id: RefundId,
    amount: Money,
    refund: String,
) -> Result<PaymentEvent, PaymentRefusal> {
    let (invoice_id, on_invoice) = (state.quoted()?.invoice, state.on_invoice()?);
    let reversed = if amount < on_invoice { amount } else { on_invoice };
    Ok(PaymentEvent::RefundSucceeded { refund_id, invoice_id, amount, reversed, refund })
}

impl Command for RecordOutsideRefund {
    type Aggregate = Payment;
    const NAME: &'static str = "RecordOutsideRefund";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    /// Asked for and done in one step: what is left to give back shrinks with it, and the invoice is open again.
    fn decide(self, state: &Payment, _: &Context) -> Decision<Payment> {
        let quote = state.quoted()?;
        match state.phase {
            Phase::Succeeded => {}
            // Nothing of it was booked: the person who looks at it sees the refund at Stripe.
            Phase::Quarantined => return Ok(vec![]),
            _ => return Err(PaymentRefusal::NothingToRefund),
        }
        let refund_id = Refund::outside(self.payment_id, &self.refund);
        let known = |known: &Refund| {
            known.id == refund_id
                || Some(known.id) == self.named
                || known.external.as_deref() == Some(self.refund.as_str())
        };
        if state.refunds.iter().any(known) {
            return Ok(vec![]);
        }
        let amount = Money::try_new(self.amount, quote.total.currency())?;
        if !amount.is_positive() {
            return Err(PaymentRefusal::NothingToRefund);
        }
        let done = given_back(state, refund_id, amount, self.refund)?;
        Ok(vec![PaymentEvent::RefundRequested { refund_id, amount, note: None }, done])
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for RecordRefund {
    type Aggregate = Payment;
    const NAME: &'static str = "RecordRefund";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    fn decide(self, state: &Payment, _: &Context) -> Decision<Payment> {
        let quote = state.quoted()?;
        let known = state.refunds.iter().find(|refund| refund.id == self.refund_id).ok_or(PaymentRefusal::NotFound)?;
        let refund_id = self.refund_id;
        let event = match (self.report, known.phase) {
            // The resident's bank did not take it: monotone, for what came back does not go out again.
            (RefundReport::Failed { code, refund: Some(_) }, RefundPhase::Succeeded) => {
                let (invoice_id, amount, reversed) = (quote.invoice, known.amount, known.reversed);
                Some(PaymentEvent::RefundReturned { refund_id, invoice_id, amount, reversed, code })
            }
            // The failure was inferred, and Stripe's own word is another.
            (RefundReport::Succeeded { refund }, RefundPhase::Failed) if known.external.is_none() => {
                Some(given_back(state, refund_id, known.amount, refund)?)
            }
            (_, RefundPhase::Succeeded | RefundPhase::Failed)
            | (RefundReport::Unknown { .. }, RefundPhase::Unknown | RefundPhase::Requested) => None,
            (RefundReport::Succeeded { refund }, _) => Some(given_back(state, refund_id, known.amount, refund)?),
            (RefundReport::Failed { code, refund }, _) => {
                Some(PaymentEvent::RefundFailed { refund_id, amount: known.amount, code, refund })
            }
            (RefundReport::Unknown { cause }, _) => Some(PaymentEvent::RefundOutcomeUnknown { refund_id, cause }),
        };
        Ok(event.into_iter().collect())
    }

    fn example() -> Value {
        Value::Null
    }
}

#[cfg(test)]
mod tests;
