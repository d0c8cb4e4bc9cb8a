//! A resident's consent to be texted: every change with its evidence, and every authority to send that was given under it.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    InboundId, Language, NumberKey, Phone, ResidentId, Role, Sealed, SignInId, TextId, TimeZone,
    disclosure::ShownDisclosure,
    text::Line,
    text_message::{KeywordReply, TextClass},
};

/// What a consent, or its end, is about. Ends are for everything: nobody has to stop the same sender twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConsentScope {
    /// Every text of the organization.
    #[default]
    All,
}

/// By which way a wish reached us. `Manual` ends consent and never grants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConsentSource {
    Portal,
    SmsKeyword,
    Provider,
    Manual,
}

/// How a session's owner proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SignInMethod {
    /// By the link in an e-mail to the address of the record.
    EmailLink,
}

/// The session in which something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionEvidence {
    pub session_id: SignInId,
    pub method: SignInMethod,
    pub opened_at: DateTime<Utc>,
}

/// Who did it, from where, when, and in which language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// `session:…`, `token:…`, `provider:…`, `process:…` or `operator`.
    pub actor: String,
    pub role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionEvidence>,
    /// Who acted in the person's name, if somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impersonator: Option<String>,
    /// The address that the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Sealed<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Sealed<String>>,
    pub at: DateTime<Utc>,
    /// The person's own, as their browser told; of what came by text, the one that their consent was given in.
    pub zone: TimeZone,
    pub locale: Language,
}

/// The box beside the disclosure, as it was shown and as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkbox {
    pub before: bool,
    pub after: bool,
}

/// What ended a consent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RevocationCause {
    /// By the resident, in the portal.
    Portal {},
    /// By a word in a text.
    Keyword { inbound_id: InboundId },
    /// By a text that a person understood as a wish to end it.
    FreeText { inbound_id: InboundId },
    /// Spoken or written to a manager.
    Verbal { note: Line<200> },
    /// The provider says that the number does not take our texts.
    Provider { code: u32 },
}

impl RevocationCause {
    pub const fn source(&self) -> ConsentSource {
        match self {
            Self::Portal {} => ConsentSource::Portal,
            Self::Keyword { .. } => ConsentSource::SmsKeyword,
            Self::Provider { .. } => ConsentSource::Provider,
            Self::FreeText { .. } | Self::Verbal { .. } => ConsentSource::Manual,
        }
    }
}

/// What made a consent void without anybody's wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InvalidationCause {
    /// The resident has another number now.
    NumberChanged {},
    /// The number belongs to somebody else now.
    Reassigned {
        note: Line<200>,
    },
    /// Texts to it do not arrive, for good.
    Undeliverable {
        code: u32,
    },
    /// The resident lives in none of the organization's properties any more.
    MovedOut {},
    Deactivated {},
    Erased {},
}

/// Why somebody could not opt a resident in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OptInRefusal {
    /// Only the resident grants.
    NotTheResident,
    /// A token or another way in that is no session of a person who signed in.
    NoSession,
    /// Somebody acted in the resident's name.
    Impersonated,
    /// The box was ticked before the resident saw it.
    PreTicked,
    /// A spreadsheet that was brought in says so. Nobody agrees by a spreadsheet.
    ClaimedByImport,
}

/// What a text from a resident says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Reading {
    Stop,
    Help,
    Start,
    /// Free text that may be meant as a stop: a person decides, and nothing is sent meanwhile.
    MayMeanStop,
    Other,
}

events! {
    /// The life of one resident's consent to be texted by one organization, number by number.
    pub enum SmsConsentEvent of "sms-consent" {
        /// The resident saw this text in the portal.
        DisclosureShown = 1 { resident_id: ResidentId, disclosure: ShownDisclosure, evidence: Evidence },
        /// The resident ticked the box and saved a number. A code goes to the number; nothing else does yet.
        ConsentRequested = 1 {
            resident_id: ResidentId,
            number: Sealed<Phone>,
            number_key: NumberKey,
            disclosure: ShownDisclosure,
            checkbox: Checkbox,
            scope: ConsentScope,
            source: ConsentSource,
            /// How often the number of the resident's record had changed by then.
            phone_revision: u32,
            evidence: Evidence,
        },
        /// A code is on its way to the number. It is derived when it is needed and never stored.
        CodeIssued = 1 { resident_id: ResidentId, number_key: NumberKey, challenge: u32, expires_at: DateTime<Utc> },
        /// A wrong code was entered.
        CodeRejected = 1 { number_key: NumberKey, challenge: u32, attempts_left: u32, evidence: Evidence },
        /// The code was entered: the number is the resident's, and may be texted.
        ConsentGranted = 1 {
            resident_id: ResidentId,
            number: Sealed<Phone>,
            number_key: NumberKey,
            challenge: u32,
            disclosure: ShownDisclosure,
            checkbox: Checkbox,
            scope: ConsentScope,
            source: ConsentSource,
            phone_revision: u32,
            evidence: Evidence,
        },
        /// The number is not texted any more, by somebody's wish.
        ConsentRevoked = 1 {
            resident_id: ResidentId,
            number: Sealed<Phone>,
            number_key: NumberKey,
            cause: RevocationCause,
            scope: ConsentScope,
            source: ConsentSource,
            evidence: Evidence,
        },
        /// START brought back what STOP had ended.
        ConsentRestored = 1 {
            resident_id: ResidentId,
            number: Sealed<Phone>,
            number_key: NumberKey,
            inbound_id: InboundId,
            /// The version of the event by which the resident had granted it.
            granted_by: i64,
            disclosure: ShownDisclosure,
            checkbox: Checkbox,
            scope: ConsentScope,
            source: ConsentSource,
            evidence: Evidence,
        },
        /// The consent for this number does not hold any more.
        ConsentInvalidated = 1 {
            resident_id: ResidentId,
            number: Sealed<Phone>,
            number_key: NumberKey,
            cause: InvalidationCause,
            evidence: Evidence,
        },
        /// A text came from the resident's number.
        InboundReceived = 1 {
            resident_id: ResidentId,
            inbound_id: InboundId,
            number: Sealed<Phone>,
            number_key: NumberKey,
            body: Sealed<String>,
            reading: Reading,
            /// The provider's id of it.
            provider_id: String,
            /// The provider answered it by itself, so we do not.
            answered_by_provider: bool,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            reply: Option<KeywordReply>,
            received_at: DateTime<Utc>,
        },
        /// Nothing of the programme goes out until a person has read this text.
        SendsPaused = 1 { inbound_id: InboundId },
        /// A person read it.
        HeldTextDecided = 1 { inbound_id: InboundId, stop: bool, note: Line<200>, evidence: Evidence },
        /// One text may be handed to the provider until `expires_at`.
        TextAuthorized = 1 {
            text_id: TextId,
            class: TextClass,
            number_key: NumberKey,
            /// The version of the event that granted or restored the consent; absent where none is needed.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            consent: Option<i64>,
            /// The text that a reply answers.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            inbound_id: Option<InboundId>,
            expires_at: DateTime<Utc>,
        },
        /// Somebody who may not tried to opt the resident in.
        OptInRefused = 1 {
            resident_id: ResidentId,
            number: Sealed<Phone>,
            number_key: NumberKey,
            why: OptInRefusal,
            evidence: Evidence,
        },
    }
}
