//! Disputes and returned bank debits: the payer's bank takes the money back, and perhaps gives it again.

use events::{Currency, Money, OrganizationId, PaymentEvent, PaymentId, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{PROCESS, Payment, PaymentRefusal, Phase};
use crate::{Command, Context, Decision, refund::RefundPhase};

/// Where a dispute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DisputeState {
    Open,
    Won,
    Lost,
}

/// Merges what Stripe says of a dispute now.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordDispute {
    pub payment_id: PaymentId,
    /// Stripe's `dp_…` or `du_…`.
    pub dispute: String,
    pub amount: i64,
    pub currency: String,
    /// Stripe's word.
    pub reason: String,
    pub state: DisputeState,
    /// A bank debit that came back.
    #[serde(default)]
    pub returned: bool,
}

/// A dispute as decisions need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    pub id: String,
    pub amount: Money,
    /// What of it is missing on the invoice at the moment.
    pub reversed: Money,
    pub state: DisputeState,
}

impl Dispute {
    /// What it keeps from the property at the moment.
    pub(crate) fn taken(&self) -> Money {
        match self.state {
            DisputeState::Open | DisputeState::Lost => self.amount,
            DisputeState::Won => Money::zero(self.amount.currency()),
        }
    }

    /// It was decided; this much came back to the invoice.
    pub(super) fn close(&mut self, won: bool, back: Money) {
        self.state = if won { DisputeState::Won } else { DisputeState::Lost };
        if won {
            self.reversed = self.reversed.checked_sub(back).unwrap_or(self.reversed);
        }
    }
}

/// What comes back to the invoice when a dispute that took this much off it is won. The invoice's part of whatever else went back goes
/// first: a refund that succeeded meanwhile found nothing there to take, and the resident has that money.
fn given_back(state: &Payment, dispute: &str, reversed: Money) -> Result<Money, PaymentRefusal> {
    let amount = state.quoted()?.amount;
    let zero = Money::zero(amount.currency());
    let refunds =
        state.refunds.iter().filter(|refund| refund.phase == RefundPhase::Succeeded).map(|refund| refund.amount);
    let others = state.disputes.iter().filter(|other| other.id != dispute).map(Dispute::taken);
    let left = amount.checked_sub(Money::sum(amount.currency(), refunds.chain(others))?)?;
    let known = state.disputes.iter().any(|known| known.id == dispute);
    // As news of the whole story at once, nothing of it has left the invoice yet.
    let there = if known { state.on_invoice()? } else { state.on_invoice()?.checked_sub(reversed)? };
    let back = (if left < zero { zero } else { left }).checked_sub(there)?;
    Ok(if back < zero {
        zero
    } else if back > reversed {
        reversed
    } else {
        back
    })
}

impl Command for RecordDispute {
    type Aggregate = Payment;
    const NAME: &'static str = "RecordDispute";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    /// Monotone: a dispute is opened once and decided once, whatever is reported later or again.
    fn decide(self, state: &Payment, _: &Context) -> Decision<Payment> {
        let quote = *state.quoted()?;
        match state.phase {
            Phase::Succeeded => {}
            // Nothing of it was booked: the person who looks at it sees the dispute at Stripe.
            Phase::Quarantined => return Ok(vec![]),
            Phase::None
            | Phase::Previewing
            | Phase::PreviewFailed
            | Phase::Quoted
            | Phase::Requested
            | Phase::Submitting
            | Phase::Submitted
            | Phase::ActionRequired
            | Phase::Processing
            | Phase::Canceled => return Err(PaymentRefusal::NothingToDispute),
        }
        let known = state.disputes.iter().find(|known| known.id == self.dispute);
        let mut events = Vec::new();
        let (amount, reversed, now) = if let Some(known) = known {
            (known.amount, known.reversed, known.state)
        } else {
            let currency = self.currency.parse::<Currency>().ok();
            if currency != Some(quote.total.currency()) {
                return Err(PaymentRefusal::OtherCurrency);
            }
            let amount = Money::try_new(self.amount, quote.total.currency())?;
            if !amount.is_positive() {
                return Err(PaymentRefusal::NothingToDispute);
            }
            // The invoice's part goes first; only what is beyond it comes out of the fee.
            let on_invoice = state.on_invoice()?;
            let reversed = if amount < on_invoice { amount } else { on_invoice };
            events.push(PaymentEvent::PaymentDisputed {
                dispute: self.dispute.clone(),
                invoice_id: quote.invoice,
                property_id: quote.property,
                stripe_account_id: quote.account,
                amount,
                reversed,
                reason: self.reason,
                returned: self.returned,
                autopay_id: quote.autopay,
            });
            (amount, reversed, DisputeState::Open)
        };
        let back = given_back(state, &self.dispute, reversed)?;
        let won = match (now, self.state) {
            (DisputeState::Open, DisputeState::Won) => true,
            (DisputeState::Open, DisputeState::Lost) => false,
            (_, DisputeState::Open) | (DisputeState::Won | DisputeState::Lost, _) => return Ok(events),
        };
        events.push(PaymentEvent::PaymentDisputeClosed {
            dispute: self.dispute,
            invoice_id: quote.invoice,
            won,
            amount,
            reversed: if won { back } else { Money::zero(reversed.currency()) },
        });
        Ok(events)
    }

    fn example() -> Value {
        Value::Null
    }
}
