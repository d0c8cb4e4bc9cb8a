//! Residents: who they are, how they are written to, and where they live.

use chrono::{DateTime, NaiveDate, Utc};
use events::{EmailAddress, Recorded, ResidentEvent, Sealed, resident::Retained, text::PersonName};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    model::{Column, FoldError, ReadModel},
    text::{folded, word},
};

pub use queries::{Filter, Home, ResidentDetail, detail, list};

#[path = "resident_queries.rs"]
mod queries;

/// Residents as they stand.
#[derive(Debug)]
pub struct Residents;

/// A unit that a resident lives in now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeItem {
    pub property_id: Uuid,
    pub unit_id: Uuid,
    /// `Owner`, `Tenant` or `Occupant`.
    pub tenure: String,
    pub on: NaiveDate,
}

/// A resident. What is personal is null when it is unknown or was erased.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResidentRow {
    pub resident_id: Uuid,
    pub organization_id: Uuid,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
    /// Since when this address holds: a sign-in link from before went elsewhere.
    pub email_since: DateTime<Utc>,
    pub phone: Option<String>,
    /// ISO 639-1.
    pub language: String,
    /// `Active` or `Inactive`.
    pub status: String,
    pub homes: Vec<HomeItem>,
    /// The properties of `homes`, each once.
    pub property_ids: Vec<Uuid>,
    /// Family name, then given name, folded.
    pub sort_name: Option<String>,
    /// Name and e-mail address, folded.
    pub search: Option<String>,
    pub registered_at: DateTime<Utc>,
    pub erased_at: Option<DateTime<Utc>>,
    /// What the law keeps of an erased resident for now.
    pub retained: Vec<Retained>,
    /// The stream's version: what `If-Match` expects.
    pub version: i64,
}

impl std::fmt::Debug for ResidentRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResidentRow").field("resident_id", &self.resident_id).finish_non_exhaustive()
    }
}

impl ReadModel for Residents {
    type Row = ResidentRow;
    const NAME: &'static str = "resident";
    const VERSION: u32 = 2;
    const COLUMNS: &'static [Column] = &[
        ("resident_id", "uuid not null"),
        ("organization_id", "uuid not null"),
        ("first_name", "text"),
        ("last_name", "text"),
        ("email", "text"),
        ("email_since", "timestamptz not null"),
        ("phone", "text"),
        ("language", "text not null"),
        ("status", "text not null"),
        ("homes", "json not null"),
        ("property_ids", "json not null"),
        ("sort_name", "text collate \"C\""),
        ("search", "text"),
        ("registered_at", "timestamptz not null"),
        ("erased_at", "timestamptz"),
        ("retained", "json not null"),
        ("version", "bigint not null"),
    ];
    const INDEXES: &'static [&'static str] =
        &["(organization_id, (coalesce(sort_name, '')), resident_id)", "(lower(email))"];
    const PERSONAL: Option<(&'static str, &'static [&'static str])> =
        Some(("resident_id", &["first_name", "last_name", "email", "phone", "sort_name", "search"]));

    fn keys(event: &Recorded) -> Result<Vec<Uuid>, FoldError> {
        Ok(if event.stream == "resident" { vec![event.stream_id] } else { vec![] })
    }

    fn fold(row: Option<ResidentRow>, key: Uuid, event: &Recorded) -> Result<Option<ResidentRow>, FoldError> {
        let Some(change) = event.event::<ResidentEvent>()? else { return Ok(row) };
        let mut row = match change {
            ResidentEvent::ResidentRegistered { name, email, phone, language } => {
                let mut row = ResidentRow {
                    resident_id: key,
                    organization_id: event.organization.0,
                    first_name: None,
                    last_name: None,
                    email: address(email),
                    email_since: event.recorded_at,
                    phone: phone.and_then(Sealed::into_value).map(Into::into),
                    language: language.code().to_owned(),
                    status: "Active".to_owned(),
                    homes: vec![],
                    property_ids: vec![],
                    sort_name: None,
                    search: None,
                    registered_at: event.recorded_at,
                    erased_at: None,
                    retained: vec![],
                    version: 0,
                };
                row.rename(name);
                row
            }
            later => {
                let mut row = row.ok_or(FoldError::Unexpected("a resident changed before being registered"))?;
                row.change(later, event)?;
                row
            }
        };
        row.version = event.version;
        Ok(Some(row))
    }
}

fn address(email: Option<Sealed<EmailAddress>>) -> Option<String> {
    email.and_then(Sealed::into_value).map(Into::into)
}

impl ResidentRow {
    fn change(&mut self, change: ResidentEvent, event: &Recorded) -> Result<(), FoldError> {
        match change {
            ResidentEvent::ResidentRegistered { .. } => return Err(FoldError::Unexpected("registered twice")),
            ResidentEvent::ResidentRenamed { name } => self.rename(name),
            ResidentEvent::ResidentEmailChanged { email } => {
                self.email = address(email);
                self.email_since = event.recorded_at;
                self.index();
            }
            ResidentEvent::ResidentPhoneChanged { phone } => {
                self.phone = phone.and_then(Sealed::into_value).map(Into::into);
            }
            ResidentEvent::ResidentLanguageChanged { language } => language.code().clone_into(&mut self.language),
            ResidentEvent::ResidentStatusChanged { status } => self.status = word(&status)?,
            ResidentEvent::ResidentMovedIn { property_id, unit_id, tenure, on } => {
                self.homes.retain(|home| home.unit_id != unit_id.0);
                let tenure = word(&tenure)?;
                self.homes.push(HomeItem { property_id: property_id.0, unit_id: unit_id.0, tenure, on });
                self.settle();
            }
            ResidentEvent::ResidentMovedOut { unit_id, .. } => {
                self.homes.retain(|home| home.unit_id != unit_id.0);
                self.settle();
            }
            ResidentEvent::ResidentErased { retained, .. } => {
                // Said again when a retention ends.
                self.erased_at.get_or_insert(event.recorded_at);
                self.retained = retained;
                self.first_name = None;
                self.last_name = None;
                self.email = None;
                self.phone = None;
                self.index();
            }
        }
        Ok(())
    }

    fn rename(&mut self, name: Sealed<PersonName>) {
        let (first, last) = name.into_value().map_or((None, None), |name| (name.first, Some(name.last)));
        self.first_name = first.map(Into::into);
        self.last_name = last.map(Into::into);
        self.index();
    }

    fn index(&mut self) {
        let text = |parts: &[&Option<String>]| {
            let known: Vec<&str> = parts.iter().filter_map(|part| part.as_deref()).collect();
            (!known.is_empty()).then(|| folded(&known.join(" ")))
        };
        self.sort_name = text(&[&self.last_name, &self.first_name]);
        self.search = text(&[&self.first_name, &self.last_name, &self.email]);
    }

    fn settle(&mut self) {
        self.property_ids = self.homes.iter().map(|home| home.property_id).collect();
        self.property_ids.sort_unstable();
        self.property_ids.dedup();
    }
}
