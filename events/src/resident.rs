//! A resident: a person who owns, rents or occupies units.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    EmailAddress, Language, PropertyId, Purpose, Sealed, UnitId,
    text::{Line, PersonName},
};

/// In what right a resident lives in a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Tenure {
    Owner,
    Tenant,
    Occupant,
}

/// Whether Propty may write to the resident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ResidentStatus {
    Active,
    Inactive,
}

/// Which rule keeps something although its erasure was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RetentionRule {
    /// Evidence of consent to texts is kept for five years after the last text or word about it (16 CFR 310.5).
    ConsentEvidence,
    /// What belongs to a booking is kept for seven years (26 CFR 301.6501).
    FinancialRecords,
}

impl RetentionRule {
    /// The rule in words, for who asked for the erasure.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ConsentEvidence => {
                "evidence of consent to texts is kept for five years after the last text or word about it (16 CFR 310.5)"
            }
            Self::FinancialRecords => "what belongs to a booking is kept for seven years (26 CFR 301.6501)",
        }
    }

    /// What kept a purpose before the rule was recorded with it.
    pub const fn of(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Consent => Self::ConsentEvidence,
            Purpose::Contact | Purpose::Message | Purpose::Finance => Self::FinancialRecords,
        }
    }
}

/// One purpose's part in an erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retained {
    pub purpose: Purpose,
    /// The day from which the key may be destroyed.
    pub until: NaiveDate,
    /// What keeps it; absent in erasures from before this was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RetentionRule>,
}

events! {
    /// The life of a resident's record.
    pub enum ResidentEvent of "resident" {
        /// A person was entered. A telephone number here is never consent to be texted.
        ResidentRegistered = 1 {
            name: Sealed<PersonName>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            email: Option<Sealed<EmailAddress>>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            phone: Option<Sealed<Line<40>>>,
            language: Language,
        },
        /// The resident's name was corrected.
        ResidentRenamed = 1 { name: Sealed<PersonName> },
        /// Another e-mail address holds from now on; none means that no e-mail can be sent.
        ResidentEmailChanged = 1 {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            email: Option<Sealed<EmailAddress>>,
        },
        /// The telephone number in the record changed. It is never consent to be texted.
        ResidentPhoneChanged = 1 {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            phone: Option<Sealed<Line<40>>>,
        },
        /// E-mails are written in another language from now on.
        ResidentLanguageChanged = 1 { language: Language },
        /// The resident is written to, or not any more.
        ResidentStatusChanged = 1 { status: ResidentStatus },
        /// The resident took up a unit.
        ResidentMovedIn = 1 { property_id: PropertyId, unit_id: UnitId, tenure: Tenure, on: NaiveDate },
        /// The resident left a unit.
        ResidentMovedOut = 1 { property_id: PropertyId, unit_id: UnitId, on: NaiveDate },
        /// The keys of these purposes are destroyed: their fields read as erased everywhere from now on. What is retained is
        /// what is still kept from now on; said again when a retention has ended or moved.
        ResidentErased = 1 { purposes: Vec<Purpose>, retained: Vec<Retained> },
    }
}
