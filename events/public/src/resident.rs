//! What is told of a resident: that something changed, never what it reads. So an erasure changes nothing of what was told.

use chrono::NaiveDate;
use events::{PropertyId, ResidentEvent};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::{Tell, values::Purpose};

/// In what right a resident lives in a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Tenure {
    Owner,
    Tenant,
    Occupant,
}

/// Whether the resident is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Status {
    Active,
    Inactive,
}

/// What is kept for a while although the resident was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Retained {
    pub purpose: Purpose,
    /// The day from which it may be destroyed as well.
    pub until: NaiveDate,
    /// What keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<RetentionRule>,
}

/// What keeps something although its erasure was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum RetentionRule {
    ConsentEvidence,
    FinancialRecords,
}

impl From<events::resident::RetentionRule> for RetentionRule {
    fn from(rule: events::resident::RetentionRule) -> Self {
        match rule {
            events::resident::RetentionRule::ConsentEvidence => Self::ConsentEvidence,
            events::resident::RetentionRule::FinancialRecords => Self::FinancialRecords,
        }
    }
}

public! {
    /// The life of a resident's record.
    pub enum ResidentFact {
        /// A person was entered. Who it is, only the API tells.
        Registered = "resident.registered" v 1 from "ResidentRegistered" when "Once per resident." {
            resident_id: Uuid,
            /// The language of letters, ISO 639-1.
            language: String,
            has_email: bool,
        },
        /// The name was corrected; ask the API for it.
        Renamed = "resident.renamed" v 1 from "ResidentRenamed" when "When a manager corrects it." { resident_id: Uuid },
        /// Another e-mail address holds, or none; ask the API for it.
        EmailChanged = "resident.email_changed" v 1 from "ResidentEmailChanged" when "When a manager changes it." {
            resident_id: Uuid,
            has_email: bool,
        },
        /// The telephone number changed; ask the API for it. It is never consent to be texted.
        PhoneChanged = "resident.phone_changed" v 1 from "ResidentPhoneChanged" when "When a manager changes it." {
            resident_id: Uuid,
            has_phone: bool,
        },
        /// Letters are written in another language from now on.
        LanguageChanged = "resident.language_changed" v 1 from "ResidentLanguageChanged" when "When a manager changes it." {
            resident_id: Uuid,
            /// ISO 639-1.
            language: String,
        },
        /// The resident is written to, or not any more.
        StatusChanged = "resident.status_changed" v 1 from "ResidentStatusChanged" when "When a manager changes it." {
            resident_id: Uuid,
            status: Status,
        },
        /// The resident took up a unit. From here on, the resident's events reach readers of that property.
        MovedIn = "resident.moved_in" v 1 from "ResidentMovedIn" when "Once for each stay." {
            resident_id: Uuid,
            property_id: Uuid,
            unit_id: Uuid,
            tenure: Tenure,
            on: NaiveDate,
        },
        /// The resident left a unit.
        MovedOut = "resident.moved_out" v 1 from "ResidentMovedOut" when "At the end of a stay." {
            resident_id: Uuid,
            property_id: Uuid,
            unit_id: Uuid,
            on: NaiveDate,
        },
        /// The resident's personal data was destroyed. Forget what you had copied from the API for the same purposes.
        Erased = "resident.erased" v 1 from "ResidentErased"
            when "When a manager erases the resident, and again when the retention of a further purpose has ended or moved." {
            resident_id: Uuid,
            /// What is unreadable from now on.
            purposes: Vec<Purpose>,
            /// What the law asks to keep for now.
            retained: Vec<Retained>,
        },
    }
}

impl Tell for ResidentFact {
    type Event = ResidentEvent;

    fn tell(resident_id: Uuid, event: ResidentEvent) -> Option<Self> {
        Some(match event {
            ResidentEvent::ResidentRegistered { name: _, email, phone: _, language } => {
                Self::Registered { resident_id, language: language.code().to_owned(), has_email: email.is_some() }
            }
            ResidentEvent::ResidentRenamed { name: _ } => Self::Renamed { resident_id },
            ResidentEvent::ResidentEmailChanged { email } => {
                Self::EmailChanged { resident_id, has_email: email.is_some() }
            }
            ResidentEvent::ResidentPhoneChanged { phone } => {
                Self::PhoneChanged { resident_id, has_phone: phone.is_some() }
            }
            ResidentEvent::ResidentLanguageChanged { language } => {
                Self::LanguageChanged { resident_id, language: language.code().to_owned() }
            }
            ResidentEvent::ResidentStatusChanged { status } => {
                let status = match status {
                    events::resident::ResidentStatus::Active => Status::Active,
                    events::resident::ResidentStatus::Inactive => Status::Inactive,
                };
                Self::StatusChanged { resident_id, status }
            }
            ResidentEvent::ResidentMovedIn { property_id, unit_id, tenure, on } => {
                let tenure = match tenure {
                    events::resident::Tenure::Owner => Tenure::Owner,
                    events::resident::Tenure::Tenant => Tenure::Tenant,
                    events::resident::Tenure::Occupant => Tenure::Occupant,
                };
                Self::MovedIn { resident_id, property_id: property_id.0, unit_id: unit_id.0, tenure, on }
            }
            ResidentEvent::ResidentMovedOut { property_id, unit_id, on } => {
                Self::MovedOut { resident_id, property_id: property_id.0, unit_id: unit_id.0, on }
            }
            ResidentEvent::ResidentErased { purposes, retained } => {
                let retained = retained
                    .into_iter()
                    .map(|kept| Retained {
                        purpose: kept.purpose.into(),
                        until: kept.until,
                        rule: Some(kept.rule.unwrap_or(events::resident::RetentionRule::of(kept.purpose)).into()),
                    })
                    .collect();
                Self::Erased { resident_id, purposes: purposes.into_iter().map(Purpose::from).collect(), retained }
            }
        })
    }

    fn property(event: &ResidentEvent) -> Option<PropertyId> {
        match event {
            ResidentEvent::ResidentMovedIn { property_id, .. }
            | ResidentEvent::ResidentMovedOut { property_id, .. } => Some(*property_id),
            ResidentEvent::ResidentRegistered { .. }
            | ResidentEvent::ResidentRenamed { .. }
            | ResidentEvent::ResidentEmailChanged { .. }
            | ResidentEvent::ResidentPhoneChanged { .. }
            | ResidentEvent::ResidentLanguageChanged { .. }
            | ResidentEvent::ResidentStatusChanged { .. }
            | ResidentEvent::ResidentErased { .. } => None,
        }
    }
}
