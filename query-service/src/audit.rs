//! The audit trail of consent and texts: replayed for a number, a resident or a property, each reading itself on record.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use edge::{Caller, Problem};
use event_store::{
    CommandContext, Store,
    append::{NewEvent, append},
    checkpoints,
};
use events::{
    AuditReadEvent, Event, Metadata, NumberKey, OrganizationId, Phone, PropertyId, Purpose, ResidentId, Role, Sealed,
    audit_read::AuditSubject,
};
use poem::{Body, IntoResponse, Request, Response};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponses, Registry},
    types::Type,
};
use projections::{property, resident, sms_consent, sms_number, text_message};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    answer::Listing,
    asked::{Asked, missing},
    audit_page, audit_trail,
    operation::{self, Kind, Operation},
    parameters::{Format, refused as invalid},
    reading::{POSITION, Reading, refused},
    state::QueryState,
    text_message::Text,
};

/// The most events that one answer shows.
const MOST_EVENTS: i64 = 50_000;
const AUDITORS: &[Role] = &[Role::OrganizationManager, Role::ComplianceAuditor];
const REACH: &str = "Auditors and organization managers; a token that is bound to a property reaches that property's residents. Each \
                     reading is itself recorded as `AuditTrailRead`, and refused with 503 when it cannot be. `format` is `json`, \
                     `csv` or `html`, for print.";

const FORMAT: operation::Filter = operation::Filter {
    name: "format",
    kind: Kind::Choice(&["json", "csv", "html"]),
    description: "`json` by default; `csv` has a line per event; `html` is for print.",
    example: "html",
};
const POSITION_UNTIL: operation::Filter = operation::Filter {
    name: "position",
    kind: Kind::Number,
    description: "As of this position of the log.",
    example: "4711",
};
const AT: operation::Filter = operation::Filter {
    name: "at",
    kind: Kind::Time,
    description: "As of this instant.",
    example: "2026-01-31T12:00:00Z",
};
const SINCE: operation::Filter = operation::Filter {
    name: "since",
    kind: Kind::Time,
    description: "Also what has changed since this instant.",
    example: "2026-01-01T00:00:00Z",
};
const FILTERS: &[operation::Filter] = &[POSITION_UNTIL, AT, SINCE, FORMAT];

/// `GET /v1/audit/numbers/{number}`
pub const NUMBER: Operation = Operation {
    method: "GET",
    path: "/v1/audit/numbers/{number}",
    tag: "Audit",
    summary: "Replay the consent and the texts of a telephone number",
    roles: AUDITORS,
    reach: REACH,
    filters: FILTERS,
    sorts: &[],
    example: "",
};

/// `GET /v1/audit/residents/{id}`
pub const RESIDENT: Operation =
    Operation { path: "/v1/audit/residents/{id}", summary: "Replay the consent and the texts of a resident", ..NUMBER };

/// `GET /v1/audit/properties/{id}`
pub const PROPERTY: Operation = Operation {
    path: "/v1/audit/properties/{id}",
    summary: "Replay the consent and the texts of everybody who lives or lived in a property",
    ..NUMBER
};

/// `GET /v1/audit/control`
pub const CONTROL: Operation = Operation {
    path: "/v1/audit/control",
    summary: "Check that no text was sent without standing consent",
    filters: &[
        operation::PROPERTY,
        operation::Filter {
            name: "from",
            kind: Kind::Time,
            description: "Sent at this instant or later.",
            example: "2026-01-01T00:00:00Z",
        },
        operation::Filter {
            name: "until",
            kind: Kind::Time,
            description: "Sent before this instant.",
            example: "2026-02-01T00:00:00Z",
        },
    ],
    ..NUMBER
};

/// A replay as it was asked for.
#[derive(Debug)]
pub struct AuditDocument {
    kind: &'static str,
    body: String,
    position: i64,
}

impl IntoResponse for AuditDocument {
    fn into_response(self) -> Response {
        Response::builder().content_type(self.kind).header(POSITION, self.position).body(Body::from_string(self.body))
    }
}

impl ApiResponse for AuditDocument {
    fn meta() -> MetaResponses {
        let mut meta = Listing::<Text>::meta();
        meta.responses.retain(|answer| answer.status != Some(410));
        if let Some(answer) = meta.responses.first_mut() {
            answer.description = "The history, the state as of the moment, each text with the consent it stood on.";
            let media = |content_type| MetaMediaType { content_type, schema: String::schema_ref() };
            answer.content = vec![media("application/json"), media("text/csv"), media("text/html")];
        }
        meta
    }

    fn register(registry: &mut Registry) {
        Listing::<Text>::register(registry);
    }
}

/// Whose history is wanted, and the residents whose streams tell it.
struct Found {
    subject: AuditSubject,
    title: String,
    number_key: Option<Uuid>,
    residents: Vec<Uuid>,
}

/// Replays for a number.
pub async fn number(
    state: &QueryState,
    caller: &Caller,
    request: &Request,
    number: &str,
) -> poem::Result<AuditDocument> {
    let asked = Asked::read(state, &NUMBER, caller, request, None)?;
    let phone = Phone::parse(number).map_err(|error| invalid("number", &error.to_string()))?;
    let mut reading = Reading::begin(state, caller, request).await?;
    let key = state.store.keyring().digest(caller.organization, phone.as_str());
    let known = sms_number::residents(&mut reading.transaction, asked.visibility, key).await.map_err(refused)?;
    let mut residents: Vec<Uuid> = known.into_iter().map(|row| row.resident_id).collect();
    if !sees_evidence(caller) {
        // Whether a number was an erased resident's is told by the mere existence of an answer.
        let erased = erased_among(state, caller, &residents).await?;
        residents.retain(|resident| !erased.contains(resident));
    }
    let found = Found {
        title: phone.as_str().to_owned(),
        subject: AuditSubject::Number {
            // Under a key of this reading's own; see `record`.
            number: Sealed::new(Uuid::nil(), Purpose::Consent, phone),
            number_key: NumberKey(key),
        },
        number_key: Some(key),
        residents,
    };
    replay(state, caller, &asked, reading, found).await
}

/// Replays for a resident.
pub async fn resident(state: &QueryState, caller: &Caller, request: &Request, id: &str) -> poem::Result<AuditDocument> {
    let asked = Asked::read(state, &RESIDENT, caller, request, Some(id))?;
    let mut reading = Reading::begin(state, caller, request).await?;
    let id = asked.id.ok_or_else(missing)?;
    let known = resident::detail(&mut reading.transaction, asked.visibility, id).await.map_err(refused)?;
    known.ok_or_else(missing)?;
    let found = Found {
        subject: AuditSubject::Resident { resident_id: ResidentId(id) },
        title: format!("resident {id}"),
        number_key: None,
        residents: vec![id],
    };
    replay(state, caller, &asked, reading, found).await
}

/// Replays for everybody who lives or lived in a property.
pub async fn property(state: &QueryState, caller: &Caller, request: &Request, id: &str) -> poem::Result<AuditDocument> {
    let asked = Asked::read(state, &PROPERTY, caller, request, Some(id))?;
    let mut reading = Reading::begin(state, caller, request).await?;
    let id = asked.id.ok_or_else(missing)?;
    let known = property::detail(&mut reading.transaction, asked.visibility, id).await.map_err(refused)?;
    known.ok_or_else(missing)?;
    let residents = sms_consent::residents_of(&mut reading.transaction, id).await.map_err(refused)?;
    let found = Found {
        subject: AuditSubject::Property { property_id: PropertyId(id) },
        title: format!("property {id}"),
        number_key: None,
        residents,
    };
    replay(state, caller, &asked, reading, found).await
}

async fn replay(
    state: &QueryState,
    caller: &Caller,
    asked: &Asked,
    mut reading: Reading,
    found: Found,
) -> poem::Result<AuditDocument> {
    let parameters = &asked.parameters;
    let position = parameters.value("position").unwrap_or(i64::MAX).min(reading.as_of.as_of);
    let at: Option<DateTime<Utc>> = parameters.value("at");
    let since: Option<DateTime<Utc>> = parameters.value("since");
    let format = parameters.text("format").unwrap_or("json").to_owned();
    let texts =
        text_message::streams(&mut reading.transaction, asked.visibility, &found.residents).await.map_err(refused)?;
    let head = reading.as_of.head;
    drop(reading);
    // On record before anything is shown.
    record(state, caller, found.subject, position, at, &format).await?;
    let consents = found.residents.iter().map(|resident| ("sms-consent", Uuid::new_v5(resident, b"sms-consent")));
    let records = found.residents.iter().map(|resident| ("resident", *resident));
    let streams: Vec<(&str, Uuid)> = consents.chain(texts.iter().map(|text| ("text", *text))).chain(records).collect();
    let mut events =
        event_store::replay::of_streams(&state.store, caller.organization, &streams, position, MOST_EVENTS + 1)
            .await
            .map_err(|error| Problem::internal(&error))?;
    if i64::try_from(events.len()).unwrap_or(i64::MAX) > MOST_EVENTS {
        let detail =
            format!("more than {MOST_EVENTS} events; ask for a resident or a number, or as of an earlier position");
        return Err(Problem::invalid("too-much", detail).into());
    }
    audit_trail::keep_erasures(&mut events);
    if !sees_evidence(caller) {
        // After the events were read, and as of now: an erasure counts also where an earlier position is asked for.
        let erased = erased_among(state, caller, &found.residents).await?;
        audit_trail::withhold(&mut events, &erased);
    }
    let trail = audit_trail::Trail::of(events, found.number_key, at).map_err(|error| Problem::internal(&error))?;
    let about = json!({ "subject": found.title, "position": position, "head": head, "at": at, "since": since });
    let (kind, body) = match format.as_str() {
        "csv" => ("text/csv; charset=utf-8; header=present", audit_page::csv(&trail)),
        "html" => ("text/html; charset=utf-8", audit_page::html(&about, &trail, since)),
        _ => ("application/json; charset=utf-8", trail.json(&about, since).to_string()),
    };
    Ok(AuditDocument { kind, body, position })
}

/// Evidence outlives an erasure for those whose task it is to look at it, and for nobody else.
fn sees_evidence(caller: &Caller) -> bool {
    caller.role == Role::ComplianceAuditor
}

async fn erased_among(state: &QueryState, caller: &Caller, residents: &[Uuid]) -> Result<BTreeSet<Uuid>, Problem> {
    event_store::erasure::erased_among(state.store.pool(), caller.organization, residents)
        .await
        .map_err(|error| Problem::internal(&error))
}

/// Checks every text that was sent, in its own log, against the consent's own log.
pub async fn control(state: &QueryState, caller: &Caller, request: &Request) -> poem::Result<AuditDocument> {
    let asked = Asked::read(state, &CONTROL, caller, request, None)?;
    let parameters = &asked.parameters;
    let property: Option<Uuid> = parameters.value("property_id").or(asked.visibility.property);
    let mut reading = Reading::begin(state, caller, request).await?;
    let position = reading.as_of.as_of;
    let (from, until): (Option<DateTime<Utc>>, Option<DateTime<Utc>>) =
        (parameters.value("from"), parameters.value("until"));
    let sent =
        text_message::sent(&mut reading.transaction, asked.visibility, property, from, until).await.map_err(refused)?;
    let checkpoint = checkpoints::latest(&mut reading.transaction, caller.organization, u64::try_from(position).ok())
        .await
        .map_err(Problem::from)?;
    drop(reading);
    let subject = AuditSubject::Control { property_id: property.map(PropertyId) };
    record(state, caller, subject, position, None, "json").await?;
    let mut without = Vec::new();
    let mut checked = 0;
    for some in sent.chunks(500) {
        let mut streams: Vec<(&str, Uuid)> = some.iter().map(|(text, _)| ("text", *text)).collect();
        streams.extend(some.iter().map(|(_, resident)| ("sms-consent", Uuid::new_v5(resident, b"sms-consent"))));
        streams.sort_unstable();
        streams.dedup();
        let events = event_store::replay::of_streams(&state.store, caller.organization, &streams, position, i64::MAX)
            .await
            .map_err(|error| Problem::internal(&error))?;
        let verdict = audit_trail::control(&events).map_err(|error| Problem::internal(&error))?;
        checked += verdict.checked;
        without.extend(verdict.without);
    }
    let checkpoint =
        checkpoint.map(|signed| json!({ "number": signed.number, "size": signed.size, "note": signed.note }));
    let body = json!({
        "property_id": property,
        "from": from,
        "until": until,
        "checked_up_to_position": position,
        "texts_sent": sent.len(),
        "programme_texts_checked": checked,
        "sent_without_standing_consent": without.len(),
        "texts": without,
        "checkpoint": checkpoint,
    });
    Ok(AuditDocument { kind: "application/json; charset=utf-8", body: body.to_string(), position })
}

/// Puts the reading on record, or refuses it.
async fn record(
    state: &QueryState,
    caller: &Caller,
    subject: AuditSubject,
    position: i64,
    at: Option<DateTime<Utc>>,
    format: &str,
) -> Result<(), Problem> {
    let reader = Reader {
        organization: caller.organization,
        name: &caller.name,
        role: caller.role,
        address: caller.address.as_deref(),
    };
    let event = AuditReadEvent::AuditTrailRead { subject, position, at, format: format.to_owned() };
    record_reading(&state.store, &reader, event, state.clock.now()).await.map_err(|error| {
        tracing::error!(%error, "a reading of the audit trail could not be recorded");
        Problem::unavailable("not-recorded", "this reading cannot be put on record, so it is refused; try again", 5)
    })
}

/// Whatever an auditor reads of people is on record, in the lists that managers use as well.
pub async fn record_auditor(
    state: &QueryState,
    caller: &Caller,
    asked: &Asked,
    operation: &Operation,
    position: i64,
) -> Result<(), Problem> {
    if caller.role != Role::ComplianceAuditor {
        return Ok(());
    }
    let subject = AuditSubject::Query { path: operation.path.to_owned(), id: asked.id };
    let format = match asked.parameters.format {
        Format::Json => "json",
        Format::Csv => "csv",
    };
    record(state, caller, subject, position, None, format).await
}

/// Who reads.
#[derive(Debug)]
pub struct Reader<'a> {
    pub organization: OrganizationId,
    pub name: &'a str,
    pub role: Role,
    pub address: Option<&'a str>,
}

/// Appends a reading to the log; what names a person in it is sealed.
pub async fn record_reading(
    store: &Store,
    reader: &Reader<'_>,
    event: AuditReadEvent,
    now: DateTime<Utc>,
) -> Result<(), event_store::AppendError> {
    let AuditReadEvent::AuditTrailRead { subject, position, at, format } = event;
    let id = Uuid::now_v7();
    let subject = match subject {
        AuditSubject::Number { number, number_key } => {
            let number = number.into_value().map_or(Sealed::Erased, |number| Sealed::new(id, Purpose::Consent, number));
            AuditSubject::Number { number, number_key }
        }
        other => other,
    };
    let event = AuditReadEvent::AuditTrailRead { subject, position, at, format };
    let mut payload = serde_json::to_value(&event)?;
    store.keyring().seal(reader.organization, &mut payload).await?;
    let mut address =
        reader.address.map(|address| json!({ "$clear": { "subject": id, "purpose": "consent", "value": address } }));
    if let Some(address) = &mut address {
        store.keyring().seal(reader.organization, address).await?;
    }
    let context = CommandContext {
        metadata: Metadata {
            organization: reader.organization,
            actor: reader.name.to_owned(),
            role: reader.role,
            correlation: id,
            causation: None,
            command: "ReadAuditTrail".to_owned(),
            command_id: id,
            client_address: None,
        },
        recorded_at: now,
        idempotency: None,
    };
    let new = NewEvent {
        stream: AuditReadEvent::STREAM,
        stream_id: id,
        version: 1,
        event_type: event.name(),
        event_version: event.version(),
        payload,
    };
    append(store.pool(), &context, address.as_ref(), &[new], &Value::Null).await
}
