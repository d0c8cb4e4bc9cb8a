//! A connected account is opened at Stripe, and read again when it is taken back into use.

use events::{Recorded, StripeAccountEvent, StripeAccountId};

use crate::{Effect, Step, reaction::Reaction};

pub fn react(event: &Recorded) -> Reaction {
    let Some(change) = event.event::<StripeAccountEvent>()? else { return Ok(vec![]) };
    let stripe_account_id = StripeAccountId(event.stream_id);
    Ok(match change {
        StripeAccountEvent::StripeConnectionRequested { .. } => {
            vec![Step::effect(Effect::OpenStripeAccount { stripe_account_id })]
        }
        StripeAccountEvent::StripeReconnectionRequested {} => {
            vec![Step::effect(Effect::ReadStripeAccount { stripe_account_id })]
        }
        StripeAccountEvent::StripeAccountCreated { .. } => {
            vec![Step::effect(Effect::ReconcileAccount { stripe_account_id })]
        }
        StripeAccountEvent::StripeConnectionFailed { .. }
        | StripeAccountEvent::StripeAccountStatusChanged { .. }
        | StripeAccountEvent::StripeAccountDisconnected { .. }
        | StripeAccountEvent::PayoutRecorded { .. }
        | StripeAccountEvent::AccountReconciled { .. } => vec![],
    })
}
