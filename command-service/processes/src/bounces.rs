//! A final bounce or a complaint ends writing to an address.

use events::{EmailMessageEvent, MessageId, Recorded, email::BounceKind, suppression::SuppressionCause};

use crate::{Effect, Step, reaction::Reaction};

pub fn react(event: &Recorded) -> Reaction {
    let Some(change) = event.event::<EmailMessageEvent>()? else { return Ok(vec![]) };
    let message_id = MessageId(event.stream_id);
    let cause = match change {
        EmailMessageEvent::EmailBounced { kind: BounceKind::Permanent, .. } => SuppressionCause::HardBounce,
        EmailMessageEvent::EmailComplained { .. } => SuppressionCause::Complaint,
        EmailMessageEvent::EmailBounced { kind: BounceKind::Transient | BounceKind::Undetermined, .. }
        | EmailMessageEvent::EmailRequested { .. }
        | EmailMessageEvent::EmailSuppressed { .. }
        | EmailMessageEvent::EmailSubmitting { .. }
        | EmailMessageEvent::EmailAccepted { .. }
        | EmailMessageEvent::EmailDelayed {}
        | EmailMessageEvent::EmailDelivered {}
        | EmailMessageEvent::EmailOpened {}
        | EmailMessageEvent::EmailClicked {}
        | EmailMessageEvent::EmailFailed { .. }
        | EmailMessageEvent::EmailOutcomeUnknown { .. }
        | EmailMessageEvent::EmailResendRequested { .. } => return Ok(vec![]),
    };
    Ok(vec![Step::effect(Effect::SuppressAddress { message_id, cause })])
}
