//! Consent to texts: every resident's for managers and auditors, and the resident's own for the portal.

use edge::Problem;
use poem_openapi::Object;
use projections::{
    Paging,
    sms_consent::{self, ConsentView, Filter, SmsConsentRow},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    asked::Asked,
    detail::{Detailed, Stream},
    instant::Instant,
    listing::{Listed, shown},
    operation::{self, Kind, Operation, READERS_OF_MESSAGES, READERS_OF_TEXTS},
    reading::refused,
};

/// `GET /v1/sms-consents`
pub const LIST: Operation = Operation {
    method: "GET",
    path: "/v1/sms-consents",
    tag: "Texts",
    summary: "List residents with their consent to texts",
    roles: READERS_OF_TEXTS,
    reach: "Managers and auditors see the residents in their scope.",
    filters: &[
        operation::Filter {
            name: "opted_in",
            kind: Kind::Flag,
            description: "Only those who can be texted, or only the others.",
            example: "true",
        },
        operation::Filter {
            name: "held",
            kind: Kind::Flag,
            description: "`true`: only those of whom a text waits to be read, so that nothing goes out.",
            example: "true",
        },
        operation::PROPERTY,
        operation::RESIDENT,
    ],
    sorts: &["name"],
    example: include_str!("examples/sms_consent.json"),
};

/// `GET /v1/residents/{id}/sms-consent`
pub const DETAIL: Operation = Operation {
    method: "GET",
    path: "/v1/residents/{id}/sms-consent",
    tag: "Texts",
    summary: "Show a resident's consent to texts",
    roles: READERS_OF_MESSAGES,
    reach: "Managers and auditors see the residents in their scope, residents their own, with the disclosure that they were shown last.",
    filters: &[],
    sorts: &[],
    example: include_str!("examples/sms_consent_detail.json"),
};

/// A resident and whether they can be texted.
#[derive(Clone, Object)]
pub struct SmsConsent {
    pub resident_id: Uuid,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    /// `Opted In` or `Not Opted In`.
    pub badge: String,
    /// `None`, `Pending`, `Granted`, `Revoked` or `Invalidated`.
    pub status: String,
    /// Since when it stands, or when it ended.
    pub consent_date: Option<Instant>,
    /// `Portal`, `SMS keyword`, `Provider` or `Manual`: how it was given, or how it ended.
    pub consent_source: Option<String>,
    /// What ended it: `Keyword`, `Verbal`, `NumberChanged`, …
    pub end_cause: Option<String>,
    /// Null when there is none, or it was erased.
    pub number: Option<String>,
    /// How many texts wait to be read: nothing goes out meanwhile.
    pub held: i64,
    /// How often somebody tried to opt the resident in who may not.
    pub refused_attempts: i64,
    /// What `If-Match` expects; zero where nothing ever happened.
    pub version: i64,
}

impl std::fmt::Debug for SmsConsent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmsConsent").field("resident_id", &self.resident_id).finish_non_exhaustive()
    }
}

/// A disclosure exactly as it was shown.
#[derive(Debug, Clone, Object)]
#[oai(rename = "ShownDisclosure")]
pub struct Shown {
    /// What `RecordSmsConsent` refers to.
    pub shown_id: Uuid,
    pub property_id: Uuid,
    /// ISO 639-1.
    pub language: String,
    pub version: String,
    /// Of the text, in hexadecimal digits.
    pub sha256: String,
    pub text: String,
}

/// A resident's consent and what surrounds it.
#[derive(Debug, Clone, Object)]
pub struct SmsConsentDetail {
    #[oai(flatten)]
    pub consent: SmsConsent,
    /// The number that waits for its code.
    pub pending_number: Option<String>,
    /// Until when the code is good.
    pub pending_until: Option<Instant>,
    pub granted_at: Option<Instant>,
    /// When a word brought it back.
    pub restored_at: Option<Instant>,
    pub ended_at: Option<Instant>,
    /// Of what was agreed to.
    pub disclosure_version: Option<String>,
    pub disclosure_sha256: Option<String>,
    /// The resident's, as their browser told.
    pub time_zone: Option<String>,
    /// What was shown last.
    pub shown: Option<Shown>,
}

/// In the words that managers know.
fn source(word: &str) -> String {
    if word == "SmsKeyword" { "SMS keyword".to_owned() } else { word.to_owned() }
}

impl From<&ConsentView> for SmsConsent {
    fn from(view: &ConsentView) -> Self {
        let row = view.consent.as_ref();
        let granted = row.is_some_and(|row| row.status == "Granted");
        let (date, by) = match row {
            Some(row) if granted => (row.restored_at.or(row.granted_at), row.source.as_deref()),
            Some(row) => (row.ended_at, row.end_source.as_deref()),
            None => (None, None),
        };
        Self {
            resident_id: view.resident_id,
            first_name: view.first_name.clone(),
            last_name: view.last_name.clone(),
            badge: if granted { "Opted In" } else { "Not Opted In" }.to_owned(),
            status: row.map_or("None", |row| &row.status).to_owned(),
            consent_date: date.map(Instant),
            consent_source: by.map(source),
            end_cause: row.filter(|_| !granted).and_then(|row| row.end_cause.clone()),
            number: row.and_then(|row| row.number.clone()),
            held: row.map_or(0, |row| i64::try_from(row.held.len()).unwrap_or(i64::MAX)),
            refused_attempts: row.map_or(0, |row| row.refused),
            version: row.map_or(0, |row| row.version),
        }
    }
}

impl From<ConsentView> for SmsConsent {
    fn from(view: ConsentView) -> Self {
        Self::from(&view)
    }
}

impl From<ConsentView> for SmsConsentDetail {
    fn from(view: ConsentView) -> Self {
        let consent = SmsConsent::from(&view);
        let row: Option<SmsConsentRow> = view.consent;
        let shown = row.as_ref().and_then(|row| row.shown.clone()).map(|shown| Shown {
            shown_id: shown.shown_id.0,
            property_id: shown.property_id.0,
            language: shown.language.code().to_owned(),
            version: shown.version,
            sha256: shown.sha256,
            text: shown.text,
        });
        let at = |pick: fn(&SmsConsentRow) -> Option<chrono::DateTime<chrono::Utc>>| {
            row.as_ref().and_then(pick).map(Instant)
        };
        Self {
            consent,
            pending_until: at(|row| row.pending_until),
            granted_at: at(|row| row.granted_at),
            restored_at: at(|row| row.restored_at),
            ended_at: at(|row| row.ended_at),
            pending_number: row.as_ref().and_then(|row| row.pending_number.clone()),
            disclosure_version: row.as_ref().and_then(|row| row.disclosure_version.clone()),
            disclosure_sha256: row.as_ref().and_then(|row| row.disclosure_sha256.clone()),
            time_zone: row.as_ref().and_then(|row| row.zone.clone()),
            shown,
        }
    }
}

impl Listed for SmsConsent {
    const OPERATION: Operation = LIST;
    const CSV: &'static [&'static str] = &[
        "resident_id",
        "last_name",
        "first_name",
        "badge",
        "status",
        "consent_date",
        "consent_source",
        "end_cause",
        "number",
        "held",
        "refused_attempts",
    ];

    async fn page(
        asked: &Asked,
        connection: &mut PgConnection,
        paging: &Paging,
    ) -> Result<projections::Page<Self>, Problem> {
        let parameters = &asked.parameters;
        let filter = Filter {
            visibility: asked.visibility,
            property: parameters.value("property_id"),
            resident: parameters.value("resident_id"),
            opted_in: parameters.value("opted_in"),
            held: parameters.value("held"),
        };
        shown(sms_consent::list(connection, &filter, paging).await)
    }
}

impl Detailed for SmsConsentDetail {
    const OPERATION: Operation = DETAIL;

    async fn find(asked: &Asked, connection: &mut PgConnection, id: Uuid) -> Result<Option<Self>, Problem> {
        let found = sms_consent::of_resident(connection, asked.visibility, id).await.map_err(refused)?;
        Ok(found.map(Self::from))
    }

    fn tag(&self) -> Option<(Stream, i64)> {
        None
    }
}
