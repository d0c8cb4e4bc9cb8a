//! Which e-mails follow from what happened. Whether they may be sent is decided when they are.

use events::{
    AutopayEvent, AutopayId, EmailMessageEvent, InvoiceEvent, InvoiceId, MessageId, Recorded, SignInEvent, SignInId,
    autopay::PauseReason,
};

use crate::{Effect, Step, effect::Occasion, reaction::Reaction};

pub fn react(event: &Recorded) -> Reaction {
    if let Some(change) = event.event::<InvoiceEvent>()? {
        let invoice_id = InvoiceId(event.stream_id);
        return Ok(match change {
            InvoiceEvent::InvoicePublished { notify: true, .. } => {
                compose(event, Occasion::InvoicePublished { invoice_id })
            }
            InvoiceEvent::PaymentApplied { payment_id, amount, balance, .. } => {
                compose(event, Occasion::PaymentReceived { invoice_id, payment_id, amount, balance })
            }
            InvoiceEvent::InvoiceDrafted { .. }
            | InvoiceEvent::InvoiceEdited { .. }
            | InvoiceEvent::InvoiceDiscarded {}
            | InvoiceEvent::InvoicePublished { notify: false, .. }
            | InvoiceEvent::InvoiceVoided { .. }
            | InvoiceEvent::PaymentReserved { .. }
            | InvoiceEvent::PaymentReleased { .. }
            | InvoiceEvent::PaymentReversed { .. }
            | InvoiceEvent::PaymentReinstated { .. }
            | InvoiceEvent::RefundUndone { .. }
            | InvoiceEvent::OverpaymentCredited { .. }
            | InvoiceEvent::CreditApplied { .. }
            | InvoiceEvent::InvoiceWrittenOff { .. }
            | InvoiceEvent::WriteOffUndone {} => vec![],
        });
    }
    if let Some(change) = event.event::<SignInEvent>()? {
        let sign_in_id = SignInId(event.stream_id);
        return Ok(match change {
            SignInEvent::SignInLinkRequested { resident_id, .. } => {
                compose(event, Occasion::SignInLink { sign_in_id, resident_id })
            }
            SignInEvent::SessionOpened { .. } | SignInEvent::SessionClosed {} => vec![],
        });
    }
    if let Some(change) = event.event::<AutopayEvent>()? {
        return Ok(match change {
            AutopayEvent::ChargeHeld { invoice_id, amount, cap, .. } => {
                compose(event, Occasion::AutopayHeld { invoice_id, amount, cap })
            }
            AutopayEvent::ChargeFailed { invoice_id, amount, reason, retry, retries_left, .. } => {
                let retry_at = retry.map(|retry| retry.at);
                compose(event, Occasion::AutopayFailed { invoice_id, amount, reason, retry_at, retries_left })
            }
            // A pause after a failure is told by the failure's letter.
            AutopayEvent::AutopayPaused {
                reason:
                    reason @ (PauseReason::MandateRevoked | PauseReason::MethodDetached | PauseReason::AccountChanged),
                ..
            } => compose(event, Occasion::AutopayPaused { autopay_id: AutopayId(event.stream_id), reason }),
            _ => vec![],
        });
    }
    let Some(change) = event.event::<EmailMessageEvent>()? else { return Ok(vec![]) };
    let message_id = MessageId(event.stream_id);
    Ok(match change {
        EmailMessageEvent::EmailRequested { .. } => vec![Step::effect(Effect::SendEmail { message_id })],
        EmailMessageEvent::EmailResendRequested { as_message } => vec![Step::effect(Effect::ComposeEmail {
            message_id: as_message,
            occasion: Occasion::Resend { of: message_id },
            cause: event.reference(),
        })],
        EmailMessageEvent::EmailSuppressed { .. }
        | EmailMessageEvent::EmailSubmitting { .. }
        | EmailMessageEvent::EmailAccepted { .. }
        | EmailMessageEvent::EmailDelayed {}
        | EmailMessageEvent::EmailDelivered {}
        | EmailMessageEvent::EmailBounced { .. }
        | EmailMessageEvent::EmailComplained { .. }
        | EmailMessageEvent::EmailOpened {}
        | EmailMessageEvent::EmailClicked {}
        | EmailMessageEvent::EmailFailed { .. }
        | EmailMessageEvent::EmailOutcomeUnknown { .. } => vec![],
    })
}

/// One message per cause: its id follows from the event.
fn compose(event: &Recorded, occasion: Occasion) -> Vec<Step> {
    let cause = event.reference();
    let message_id = MessageId::derived(event.organization.0, &format!("email/{cause}"));
    vec![Step::effect(Effect::ComposeEmail { message_id, occasion, cause })]
}
