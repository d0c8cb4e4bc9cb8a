//! What is told of an e-mail: why it was written and what became of it, never its address or its words.

use events::{EmailMessageEvent, PropertyId, email as stored};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::Tell;

/// Why an e-mail was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum NotSent {
    NoAddress,
    ResidentInactive,
    ResidentErased,
    AddressSuppressed,
    /// The provider refuses this address on its own account.
    SuppressedByProvider,
    /// The property switched this kind of e-mail off.
    KindSwitchedOff,
    /// What it was to ask for is not asked for any more.
    Overtaken,
}

/// How final a bounce is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum BounceKind {
    Permanent,
    Transient,
    Undetermined,
}

public! {
    /// The life of one e-mail. That it was opened or clicked is between the resident and nobody.
    pub enum EmailFact {
        /// Something happened that the resident is to be told by e-mail.
        Requested = "email.requested" v 1 from "EmailRequested" when "Once per e-mail; sign-in links are not told of." {
            message_id: Uuid,
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
        Suppressed = "email.suppressed" v 1 from "EmailSuppressed" when "Instead of sending it." {
            message_id: Uuid,
            reason: NotSent,
        },
        /// The provider took it.
        Sent = "email.sent" v 1 from "EmailAccepted" when "At most once per e-mail." { message_id: Uuid },
        /// The recipient's server took it.
        Delivered = "email.delivered" v 1 from "EmailDelivered" when "When the provider says so; SMTP never does." { message_id: Uuid },
        /// The recipient's server refused it.
        Bounced = "email.bounced" v 1 from "EmailBounced" when "When the provider says so." {
            message_id: Uuid,
            kind: BounceKind,
        },
        /// The recipient called it spam.
        Complained = "email.complained" v 1 from "EmailComplained" when "When the provider says so." { message_id: Uuid },
        /// The provider refused it for good.
        Failed = "email.failed" v 1 from "EmailFailed" when "At most once per e-mail." { message_id: Uuid },
        /// Whether the provider took it is not known; a person decides whether to send it again.
        Unresolved = "email.unresolved" v 1 from "EmailOutcomeUnknown" when "After a lost answer." { message_id: Uuid },
    }
}

impl Tell for EmailFact {
    type Event = EmailMessageEvent;

    fn tell(message_id: Uuid, event: EmailMessageEvent) -> Option<Self> {
        Some(match event {
            EmailMessageEvent::EmailRequested {
                resident_id,
                property_id,
                content,
                language,
                fallback: _,
                template: _,
                cause: _,
                resend_of: _,
            } => {
                if matches!(content, stored::EmailContent::SignInLink { .. }) {
                    return None;
                }
                Self::Requested {
                    message_id,
                    resident_id: resident_id.0,
                    property_id: property_id.map(|id| id.0),
                    kind: content.kind().to_owned(),
                    invoice_id: content.invoice_id().map(|id| id.0),
                    language: language.code().to_owned(),
                }
            }
            EmailMessageEvent::EmailSuppressed { reason } => {
                let reason = match reason {
                    stored::EmailSuppression::NoAddress => NotSent::NoAddress,
                    stored::EmailSuppression::ResidentInactive => NotSent::ResidentInactive,
                    stored::EmailSuppression::ResidentErased => NotSent::ResidentErased,
                    stored::EmailSuppression::AddressSuppressed => NotSent::AddressSuppressed,
                    stored::EmailSuppression::SuppressedByProvider => NotSent::SuppressedByProvider,
                    stored::EmailSuppression::KindSwitchedOff => NotSent::KindSwitchedOff,
                    stored::EmailSuppression::Overtaken => NotSent::Overtaken,
                };
                Self::Suppressed { message_id, reason }
            }
            EmailMessageEvent::EmailAccepted { provider_id: _ } => Self::Sent { message_id },
            EmailMessageEvent::EmailDelivered {} => Self::Delivered { message_id },
            EmailMessageEvent::EmailBounced { kind, reason: _, address: _ } => {
                let kind = match kind {
                    stored::BounceKind::Permanent => BounceKind::Permanent,
                    stored::BounceKind::Transient => BounceKind::Transient,
                    stored::BounceKind::Undetermined => BounceKind::Undetermined,
                };
                Self::Bounced { message_id, kind }
            }
            EmailMessageEvent::EmailComplained { address: _ } => Self::Complained { message_id },
            EmailMessageEvent::EmailFailed { reason: _ } => Self::Failed { message_id },
            EmailMessageEvent::EmailOutcomeUnknown { why: _ } => Self::Unresolved { message_id },
            EmailMessageEvent::EmailSubmitting { .. }
            | EmailMessageEvent::EmailDelayed {}
            | EmailMessageEvent::EmailOpened {}
            | EmailMessageEvent::EmailClicked {}
            | EmailMessageEvent::EmailResendRequested { .. } => return None,
        })
    }

    fn property(event: &EmailMessageEvent) -> Option<PropertyId> {
        match event {
            EmailMessageEvent::EmailRequested { property_id, .. } => *property_id,
            _ => None,
        }
    }
}
