//! What is told of a text: why it was written and what became of it, never its number or its words.

use chrono::{DateTime, Utc};
use events::{PropertyId, TextMessageEvent, text_message as stored};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::Tell;

/// Why a text was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum TextNotSent {
    NoConsent,
    NotConfirmed,
    ConsentRevoked,
    ConsentInvalidated,
    NumberChanged,
    ResidentInactive,
    ResidentErased,
    MovedOut,
    /// The property has this kind of text switched off.
    KindSwitchedOff,
    /// What it was to ask for is not asked for any more.
    Overtaken,
    CodeOutdated,
    /// Enough codes went to this number of late, whoever had them sent.
    TooManyCodes,
    ReplyTooLate,
    ReplyGiven,
    /// The sending number may not send at present.
    SenderHalted,
}

/// Why a text waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum TextWaits {
    QuietHours,
    /// A text of the resident may mean "stop", and nobody has read it yet.
    HeldForPerson,
}

public! {
    /// The life of one text.
    pub enum TextFact {
        /// Something happened that the resident is to be told by text.
        Requested = "text.requested" v 1 from "TextRequested"
            when "Once per text; of codes and answers to words, only what became of them is told." {
            text_id: Uuid,
            resident_id: Uuid,
            #[serde(skip_serializing_if = "Option::is_none")]
            property_id: Option<Uuid>,
            /// `invoice-published`, `payment-received`, and so on.
            kind: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            invoice_id: Option<Uuid>,
            /// ISO 639-1.
            language: String,
        },
        /// It was decided not to send it.
        Suppressed = "text.suppressed" v 1 from "TextSuppressed" when "Instead of sending it." {
            text_id: Uuid,
            reason: TextNotSent,
        },
        /// It waits; everything is looked at again then.
        Deferred = "text.deferred" v 1 from "TextDeferred" when "Outside the permitted hours, or while a person has to read first." {
            text_id: Uuid,
            until: DateTime<Utc>,
            reason: TextWaits,
        },
        /// It left for the recipient's network.
        Sent = "text.sent" v 1 from "TextSent" when "At most once per text." { text_id: Uuid },
        /// It arrived.
        Delivered = "text.delivered" v 1 from "TextDelivered" when "When the network says so." { text_id: Uuid },
        /// The recipient's network did not deliver it.
        Undelivered = "text.undelivered" v 1 from "TextUndelivered" when "When the network says so." { text_id: Uuid },
        /// The provider refused it, or gave it up before it left.
        Failed = "text.failed" v 1 from "TextFailed" when "At most once per text." { text_id: Uuid },
        /// Whether the provider took it is not known; it is not sent again by itself.
        Unresolved = "text.unresolved" v 1 from "TextOutcomeUnknown" when "After a lost answer." { text_id: Uuid },
        /// A person found out whether it was sent.
        Resolved = "text.resolved" v 1 from "TextOutcomeDecided" when "After it was unresolved." {
            text_id: Uuid,
            /// Whether it was.
            sent: bool,
        },
    }
}

impl From<stored::TextSuppression> for TextNotSent {
    fn from(reason: stored::TextSuppression) -> Self {
        match reason {
            stored::TextSuppression::NoConsent => Self::NoConsent,
            stored::TextSuppression::NotConfirmed => Self::NotConfirmed,
            stored::TextSuppression::ConsentRevoked => Self::ConsentRevoked,
            stored::TextSuppression::ConsentInvalidated => Self::ConsentInvalidated,
            stored::TextSuppression::NumberChanged => Self::NumberChanged,
            stored::TextSuppression::ResidentInactive => Self::ResidentInactive,
            stored::TextSuppression::ResidentErased => Self::ResidentErased,
            stored::TextSuppression::MovedOut => Self::MovedOut,
            stored::TextSuppression::KindSwitchedOff => Self::KindSwitchedOff,
            stored::TextSuppression::Overtaken => Self::Overtaken,
            stored::TextSuppression::CodeOutdated => Self::CodeOutdated,
            stored::TextSuppression::TooManyCodes => Self::TooManyCodes,
            stored::TextSuppression::ReplyTooLate => Self::ReplyTooLate,
            stored::TextSuppression::ReplyGiven => Self::ReplyGiven,
            stored::TextSuppression::SenderHalted => Self::SenderHalted,
        }
    }
}

impl Tell for TextFact {
    type Event = TextMessageEvent;

    fn tell(text_id: Uuid, event: TextMessageEvent) -> Option<Self> {
        Some(match event {
            TextMessageEvent::TextRequested {
                resident_id,
                property_id,
                content,
                language,
                fallback: _,
                template: _,
                cause: _,
            } => {
                if !matches!(content.class(), stored::TextClass::Programme) {
                    return None;
                }
                Self::Requested {
                    text_id,
                    resident_id: resident_id.0,
                    property_id: property_id.map(|id| id.0),
                    kind: content.kind().to_owned(),
                    invoice_id: content.invoice_id().map(|id| id.0),
                    language: language.code().to_owned(),
                }
            }
            TextMessageEvent::TextSuppressed { reason, grounds: _ } => {
                Self::Suppressed { text_id, reason: reason.into() }
            }
            TextMessageEvent::TextDeferred { until, reason, grounds: _ } => {
                let reason = match reason {
                    stored::TextDeferral::QuietHours => TextWaits::QuietHours,
                    stored::TextDeferral::HeldForPerson => TextWaits::HeldForPerson,
                };
                Self::Deferred { text_id, until, reason }
            }
            TextMessageEvent::TextSent {} => Self::Sent { text_id },
            TextMessageEvent::TextDelivered {} => Self::Delivered { text_id },
            TextMessageEvent::TextUndelivered { code: _ } => Self::Undelivered { text_id },
            TextMessageEvent::TextFailed { code: _, reason: _ } => Self::Failed { text_id },
            TextMessageEvent::TextOutcomeUnknown { why: _ } => Self::Unresolved { text_id },
            TextMessageEvent::TextOutcomeDecided { sent, note: _ } => Self::Resolved { text_id, sent },
            TextMessageEvent::TextSending { .. } | TextMessageEvent::TextAccepted { .. } => return None,
        })
    }

    fn property(event: &TextMessageEvent) -> Option<PropertyId> {
        match event {
            TextMessageEvent::TextRequested { property_id, .. } => *property_id,
            _ => None,
        }
    }
}
