//! Which texts follow from what happened. Whether one may be sent is decided when it is, in the order of the consent itself.

use chrono::TimeDelta;
use domain::sms_consent::ReviewSmsConsent;
use events::{
    AutopayEvent, InvoiceEvent, InvoiceId, Recorded, ResidentEvent, ResidentId, SmsConsentEvent, TextId,
    TextMessageEvent,
};

use crate::{Effect, Step, effect::TextOccasion, reaction::Reaction};

/// Business time before a text is tried anew that did not arrive for a passing reason.
const ANEW: TimeDelta = TimeDelta::minutes(15);

pub fn react(event: &Recorded) -> Reaction {
    if let Some(change) = event.event::<TextMessageEvent>()? {
        return Ok(sending(TextId(event.stream_id), &change));
    }
    if let Some(change) = event.event::<InvoiceEvent>()? {
        let invoice_id = InvoiceId(event.stream_id);
        return Ok(match change {
            InvoiceEvent::InvoicePublished { notify: true, .. } => {
                compose(event, TextOccasion::InvoicePublished { invoice_id })
            }
            InvoiceEvent::PaymentApplied { payment_id, amount, balance, .. } => {
                compose(event, TextOccasion::PaymentReceived { invoice_id, payment_id, amount, balance })
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
    if let Some(AutopayEvent::ChargeFailed { invoice_id, amount, retry, .. }) = event.event::<AutopayEvent>()? {
        let retry_at = retry.map(|retry| retry.at);
        return Ok(compose(event, TextOccasion::PaymentFailed { invoice_id, amount, retry_at }));
    }
    if let Some(change) = event.event::<ResidentEvent>()? {
        let resident_id = ResidentId(event.stream_id);
        return match change {
            // Whatever was agreed to for another number, home or standing ends.
            ResidentEvent::ResidentPhoneChanged { .. }
            | ResidentEvent::ResidentStatusChanged { .. }
            | ResidentEvent::ResidentMovedOut { .. }
            | ResidentEvent::ResidentErased { .. } => Ok(vec![Step::command(&ReviewSmsConsent { resident_id })?]),
            ResidentEvent::ResidentRegistered { .. }
            | ResidentEvent::ResidentRenamed { .. }
            | ResidentEvent::ResidentEmailChanged { .. }
            | ResidentEvent::ResidentLanguageChanged { .. }
            | ResidentEvent::ResidentMovedIn { .. } => Ok(vec![]),
        };
    }
    let Some(change) = event.event::<SmsConsentEvent>()? else { return Ok(vec![]) };
    Ok(match change {
        SmsConsentEvent::CodeIssued { resident_id, challenge, .. } => {
            compose(event, TextOccasion::ConsentCode { resident_id, challenge })
        }
        SmsConsentEvent::ConsentGranted { resident_id, .. } => {
            compose(event, TextOccasion::ConsentConfirmed { resident_id })
        }
        SmsConsentEvent::InboundReceived { resident_id, inbound_id, reply: Some(reply), .. } => {
            compose(event, TextOccasion::KeywordReply { resident_id, inbound_id, reply })
        }
        SmsConsentEvent::DisclosureShown { .. }
        | SmsConsentEvent::ConsentRequested { .. }
        | SmsConsentEvent::CodeRejected { .. }
        | SmsConsentEvent::ConsentRevoked { .. }
        | SmsConsentEvent::ConsentRestored { .. }
        | SmsConsentEvent::ConsentInvalidated { .. }
        | SmsConsentEvent::InboundReceived { reply: None, .. }
        | SmsConsentEvent::SendsPaused { .. }
        | SmsConsentEvent::HeldTextDecided { .. }
        | SmsConsentEvent::TextAuthorized { .. }
        | SmsConsentEvent::OptInRefused { .. } => vec![],
    })
}

/// What a text itself leads to.
fn sending(text_id: TextId, change: &TextMessageEvent) -> Vec<Step> {
    match change {
        TextMessageEvent::TextRequested { content, .. } => {
            vec![Step::effect(Effect::SendText { text_id, class: content.class() })]
        }
        TextMessageEvent::TextUndelivered { code: Some(code) }
        | TextMessageEvent::TextFailed { code: Some(code), .. } => {
            vec![
                Step::effect(Effect::ActOnTextError { text_id, code: *code }),
                Step::Effect { effect: Effect::SendTextAgain { text_id, code: *code }, after: ANEW },
            ]
        }
        TextMessageEvent::TextSuppressed { .. }
        | TextMessageEvent::TextDeferred { .. }
        | TextMessageEvent::TextSending { .. }
        | TextMessageEvent::TextAccepted { .. }
        | TextMessageEvent::TextSent {}
        | TextMessageEvent::TextDelivered {}
        | TextMessageEvent::TextUndelivered { code: None }
        | TextMessageEvent::TextFailed { code: None, .. }
        | TextMessageEvent::TextOutcomeUnknown { .. }
        | TextMessageEvent::TextOutcomeDecided { .. } => vec![],
    }
}

/// One text per cause: its id follows from the event.
fn compose(event: &Recorded, occasion: TextOccasion) -> Vec<Step> {
    let cause = event.reference();
    let text_id = TextId::derived(event.organization.0, &format!("text/{cause}"));
    vec![Step::effect(Effect::ComposeText { text_id, occasion, cause })]
}
