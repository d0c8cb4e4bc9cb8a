//! A person's word where Stripe's cannot be had, or differs from what was asked.

use events::{OrganizationId, PaymentEvent, PaymentId, Role, Sealed, payment::CancelReason, text::Line};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Payment, PaymentRefusal, Phase};
use crate::{Command, Context, Decision};

/// What a person found at Stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Resolution {
    /// The money is there: it is booked as it was quoted.
    Charged,
    /// Nothing was taken, or it was given back there: the invoice is free again.
    NotCharged,
}

/// Says what became of a payment whose call was never answered, or of which Stripe shows another amount than was asked. Money of
/// another amount is given back at Stripe first, and recorded by hand if it is kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolvePayment {
    pub payment_id: PaymentId,
    pub outcome: Resolution,
    /// Stripe's `pi_…` that was charged, where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255), regex(pattern = "^pi_[A-Za-z0-9]+$"))]
    pub intent: Option<String>,
    pub reason: Line<200>,
}

/// Stripe's name of a payment; it ends up in paths.
fn is_intent(text: &str) -> bool {
    let rest = text.strip_prefix("pi_").unwrap_or_default();
    !rest.is_empty() && text.len() <= 255 && rest.chars().all(|c| c.is_ascii_alphanumeric())
}

impl Command for ResolvePayment {
    type Aggregate = Payment;
    const NAME: &'static str = "ResolvePayment";
    const ROLES: &'static [Role] = &[Role::OrganizationManager, Role::Operator];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    fn decide(self, state: &Payment, _: &Context) -> Decision<Payment> {
        let quote = *state.quoted()?;
        let charged = self.outcome == Resolution::Charged;
        if let Some(known) = state.resolved {
            return if known == charged { Ok(vec![]) } else { Err(PaymentRefusal::NotInDoubt) };
        }
        if !matches!(state.phase, Phase::Submitting | Phase::Quarantined) {
            return Err(PaymentRefusal::NotInDoubt);
        }
        let mut events = vec![PaymentEvent::PaymentResolved { charged, reason: self.reason }];
        if !charged {
            events.push(PaymentEvent::PaymentCanceled {
                invoice_id: quote.invoice,
                reason: CancelReason::Resolved,
                reserved: true,
                autopay_id: quote.autopay,
            });
            return Ok(events);
        }
        // Without it the money could never be given back.
        match (&state.intent, self.intent) {
            (Some(known), Some(named)) if *known != named => return Err(PaymentRefusal::OtherIntent),
            (Some(_), _) => {}
            (None, Some(intent)) if is_intent(&intent) => {
                events.push(PaymentEvent::PaymentSubmitted { intent, client_secret: Sealed::Erased });
            }
            (None, _) => return Err(PaymentRefusal::NeedsIntent),
        }
        events.push(PaymentEvent::PaymentSucceeded {
            invoice_id: quote.invoice,
            amount: quote.amount,
            charge: None,
            card: None,
            bank: None,
            autopay_id: quote.autopay,
        });
        Ok(events)
    }

    fn example() -> Value {
        json!({
            "payment_id": "01935c2e-0000-7000-8000-000000000402",
            "outcome": "Charged",
            "intent": "pi_3PqZ8x2eZvKYlo2C1abcdefg",
            "reason": "Seen in Stripe's dashboard"
        })
    }
}
