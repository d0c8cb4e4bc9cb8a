//! What is told of a resident's consent to be texted: that it stands or not, never for which number. The evidence stays with us.

use events::{PropertyId, SmsConsentEvent, sms_consent as stored};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::Tell;

/// By which way a wish reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum ConsentSource {
    Portal,
    SmsKeyword,
    Provider,
    /// Told to a manager; that can only end a consent.
    Manual,
}

/// What made a consent void without anybody's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum InvalidationCause {
    NumberChanged,
    /// The number belongs to somebody else now.
    Reassigned,
    Undeliverable,
    MovedOut,
    Deactivated,
    Erased,
}

public! {
    /// The life of one resident's consent to be texted by one organization.
    pub enum SmsConsentFact {
        /// The resident confirmed a number: it may be texted.
        Granted = "sms_consent.granted" v 1 from "ConsentGranted" when "Once the code that went to the number was entered." {
            consent_id: Uuid,
            resident_id: Uuid,
            source: ConsentSource,
        },
        /// The resident wants no texts any more.
        Revoked = "sms_consent.revoked" v 1 from "ConsentRevoked" when "By a word, in the portal, or through a manager." {
            consent_id: Uuid,
            resident_id: Uuid,
            source: ConsentSource,
        },
        /// What a word had ended, a word brought back.
        Restored = "sms_consent.restored" v 1 from "ConsentRestored" when "When START follows STOP." {
            consent_id: Uuid,
            resident_id: Uuid,
            source: ConsentSource,
        },
        /// The consent does not hold any more, for a reason that is nobody's wish.
        Invalidated = "sms_consent.invalidated" v 1 from "ConsentInvalidated"
            when "When the number, the person or the place is not what it was." {
            consent_id: Uuid,
            resident_id: Uuid,
            cause: InvalidationCause,
        },
    }
}

impl From<stored::ConsentSource> for ConsentSource {
    fn from(source: stored::ConsentSource) -> Self {
        match source {
            stored::ConsentSource::Portal => Self::Portal,
            stored::ConsentSource::SmsKeyword => Self::SmsKeyword,
            stored::ConsentSource::Provider => Self::Provider,
            stored::ConsentSource::Manual => Self::Manual,
        }
    }
}

impl From<stored::InvalidationCause> for InvalidationCause {
    fn from(cause: stored::InvalidationCause) -> Self {
        match cause {
            stored::InvalidationCause::NumberChanged {} => Self::NumberChanged,
            stored::InvalidationCause::Reassigned { note: _ } => Self::Reassigned,
            stored::InvalidationCause::Undeliverable { code: _ } => Self::Undeliverable,
            stored::InvalidationCause::MovedOut {} => Self::MovedOut,
            stored::InvalidationCause::Deactivated {} => Self::Deactivated,
            stored::InvalidationCause::Erased {} => Self::Erased,
        }
    }
}

impl Tell for SmsConsentFact {
    type Event = SmsConsentEvent;

    fn tell(consent_id: Uuid, event: SmsConsentEvent) -> Option<Self> {
        Some(match event {
            SmsConsentEvent::ConsentGranted { resident_id, source, .. } => {
                Self::Granted { consent_id, resident_id: resident_id.0, source: source.into() }
            }
            SmsConsentEvent::ConsentRevoked { resident_id, source, .. } => {
                Self::Revoked { consent_id, resident_id: resident_id.0, source: source.into() }
            }
            SmsConsentEvent::ConsentRestored { resident_id, source, .. } => {
                Self::Restored { consent_id, resident_id: resident_id.0, source: source.into() }
            }
            SmsConsentEvent::ConsentInvalidated { resident_id, cause, .. } => {
                Self::Invalidated { consent_id, resident_id: resident_id.0, cause: cause.into() }
            }
            // The way to a consent, its evidence, what residents write, and each leave to send.
            SmsConsentEvent::DisclosureShown { .. }
            | SmsConsentEvent::ConsentRequested { .. }
            | SmsConsentEvent::CodeIssued { .. }
            | SmsConsentEvent::CodeRejected { .. }
            | SmsConsentEvent::InboundReceived { .. }
            | SmsConsentEvent::SendsPaused { .. }
            | SmsConsentEvent::HeldTextDecided { .. }
            | SmsConsentEvent::TextAuthorized { .. }
            | SmsConsentEvent::OptInRefused { .. } => return None,
        })
    }

    fn property(_: &SmsConsentEvent) -> Option<PropertyId> {
        None
    }
}
