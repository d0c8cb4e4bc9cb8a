//! One text to one resident: why, under which consent and rule, and what became of it.

use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    InboundId, InvoiceId, Language, Money, NumberKey, PaymentId, Phone, PropertyId, ResidentId, Sealed, TimeZone,
    text::{Line, Title},
};

/// In what right a text is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TextClass {
    /// Needs standing consent and a permitted hour.
    Programme,
    /// The code that a resident has just asked for.
    Code,
    /// The answer to a word that the resident has just sent.
    Reply,
}

/// The answer to a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum KeywordReply {
    Stopped,
    Help,
    Restarted,
    /// START, where there is nothing that it could bring back.
    NothingToRestart,
}

/// What a text tells, with the facts as of its cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TextContent {
    InvoicePublished {
        invoice_id: InvoiceId,
        title: Title,
        total: Money,
        due_on: NaiveDate,
    },
    PaymentReceived {
        invoice_id: InvoiceId,
        payment_id: PaymentId,
        title: Title,
        amount: Money,
        balance: Money,
    },
    /// Autopay could not charge.
    PaymentFailed {
        invoice_id: InvoiceId,
        title: Title,
        amount: Money,
        /// The day of the next attempt, if there is one.
        retry_on: Option<NaiveDate>,
    },
    /// The code is derived from the challenge when the text is rendered.
    ConsentCode {
        challenge: u32,
    },
    /// The number was confirmed.
    ConsentConfirmed {},
    KeywordReply {
        inbound_id: InboundId,
        reply: KeywordReply,
    },
}

impl TextContent {
    /// Every kind there is.
    pub const KINDS: &[&str] = &[
        "invoice-published",
        "payment-received",
        "payment-failed",
        "consent-code",
        "consent-confirmed",
        "keyword-reply",
    ];
    /// Those that a property switches on; off until it does.
    pub const SWITCHED: &[&str] = &["invoice-published", "payment-received", "payment-failed"];

    pub const fn kind(&self) -> &'static str {
        match self {
            Self::InvoicePublished { .. } => "invoice-published",
            Self::PaymentReceived { .. } => "payment-received",
            Self::PaymentFailed { .. } => "payment-failed",
            Self::ConsentCode { .. } => "consent-code",
            Self::ConsentConfirmed {} => "consent-confirmed",
            Self::KeywordReply { .. } => "keyword-reply",
        }
    }

    pub const fn class(&self) -> TextClass {
        match self {
            Self::InvoicePublished { .. }
            | Self::PaymentReceived { .. }
            | Self::PaymentFailed { .. }
            | Self::ConsentConfirmed {} => TextClass::Programme,
            Self::ConsentCode { .. } => TextClass::Code,
            Self::KeywordReply { .. } => TextClass::Reply,
        }
    }

    pub const fn invoice_id(&self) -> Option<InvoiceId> {
        match self {
            Self::InvoicePublished { invoice_id, .. }
            | Self::PaymentReceived { invoice_id, .. }
            | Self::PaymentFailed { invoice_id, .. } => Some(*invoice_id),
            Self::ConsentCode { .. } | Self::ConsentConfirmed {} | Self::KeywordReply { .. } => None,
        }
    }
}

/// What a text, or its absence, rests on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Grounds {
    /// The event of the consent that allows it or stands against it, as `stream/id/version`; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<String>,
    /// The version of the rules about hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The zone of the recipient that decided; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<TimeZone>,
    /// The recipient's time, with its offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_time: Option<DateTime<FixedOffset>>,
}

/// Why a text was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TextSuppression {
    /// The resident never agreed.
    NoConsent,
    /// The resident has not entered the code yet.
    NotConfirmed,
    ConsentRevoked,
    ConsentInvalidated,
    /// The number of the record is another one than that of the consent.
    NumberChanged,
    ResidentInactive,
    ResidentErased,
    /// The resident lives in none of the organization's properties.
    MovedOut,
    /// The property has this kind of text switched off.
    KindSwitchedOff,
    /// What it was to ask for is not asked for any more.
    Overtaken,
    /// The code is out of date or another one was asked for since.
    CodeOutdated,
    /// Enough codes went to this number of late, whoever had them sent.
    TooManyCodes,
    /// More than five minutes have passed since the text that it answers.
    ReplyTooLate,
    /// The text that it answers had its answer.
    ReplyGiven,
    /// The sending number may not send at present.
    SenderHalted,
}

/// Why a text waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TextDeferral {
    QuietHours,
    /// A text of the resident may mean "stop", and nobody has read it yet.
    HeldForPerson,
}

/// How a text is written on the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TextEncoding {
    Gsm7,
    Ucs2,
}

events! {
    /// The life of one text.
    pub enum TextMessageEvent of "text" {
        /// Something happened that the resident is to be told by text.
        TextRequested = 1 {
            resident_id: ResidentId,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            property_id: Option<PropertyId>,
            content: TextContent,
            language: Language,
            /// The resident's language had no template, so English is used.
            fallback: bool,
            /// The version of the template's text.
            template: u32,
            /// The event that caused it, as `stream/id/version`.
            cause: String,
        },
        /// It was decided not to send it.
        TextSuppressed = 1 { reason: TextSuppression, grounds: Grounds },
        /// It waits, and everything is looked at again then.
        TextDeferred = 1 { until: DateTime<Utc>, reason: TextDeferral, grounds: Grounds },
        /// The intent to hand it to the provider, committed before the call. The text is frozen, and sealed.
        TextSending = 1 {
            number: Sealed<Phone>,
            number_key: NumberKey,
            body: Sealed<String>,
            /// The authority to send it, as `stream/id/version`.
            authority: String,
            grounds: Grounds,
            encoding: TextEncoding,
            segments: u32,
            /// In the text itself, so that it can be found at the provider.
            reference: String,
            /// `twilio`.
            provider: String,
        },
        /// The provider took it.
        TextAccepted = 1 {
            /// The provider's id of it.
            provider_id: String,
        },
        /// It left for the recipient's network.
        TextSent = 1 {},
        /// The recipient's network delivered it.
        TextDelivered = 1 {},
        /// The recipient's network did not deliver it.
        TextUndelivered = 1 {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            code: Option<u32>,
        },
        /// The provider refused it, or gave it up before it left.
        TextFailed = 1 {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            code: Option<u32>,
            reason: String,
        },
        /// Whether the provider took it is not known. It is not sent again by itself.
        TextOutcomeUnknown = 1 { why: String },
        /// A person found out whether it was sent.
        TextOutcomeDecided = 1 { sent: bool, note: Line<200> },
    }
}
