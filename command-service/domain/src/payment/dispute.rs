//! Disputes and returned bank debits: the payer's bank takes the money back, and perhaps gives it again.

use events::{Currency, Money, OrganizationId, PaymentEvent, PaymentId, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{PROCESS, Payment, PaymentRefusal, Phase};
use crate::{Command, Context, Decision};

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

    /// What of it is missing on the invoice at the moment.
    pub(crate) fn missing(&self) -> Money {
        match self.state {
            DisputeState::Open | DisputeState::Lost => self.reversed,
            DisputeState::Won => Money::zero(self.reversed.currency()),
        }
    }
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
            reversed: if won { reversed } else { Money::zero(reversed.currency()) },
        });
        Ok(events)
    }

    fn example() -> Value {
        Value::Null
    }
}
