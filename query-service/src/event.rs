//! The event feed over HTTP: pages, lines, single events, and the stream that never ends; and where its contract is served.

use std::{collections::BTreeMap, fmt::Write, sync::OnceLock};

use edge::{Authenticator, Caller, Problem};
use poem::{Body, IntoResponse, Request, Response, http::header};
use poem_openapi::{
    ApiResponse, Object,
    payload::Json,
    registry::{MetaMediaType, MetaResponses, MetaSchemaRef, Registry},
    types::{Any, Type},
};
use public_events::Selection;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    answer::{Detail, Meta, ProblemBody, media, position_header, response, responses},
    asked::{Asked, missing},
    feed::{Aggregate, Export, Live, MOST, Slice, Wanted, Watched},
    instant::Instant,
    operation::{self, Filter, Kind, Operation, READERS_OF_EVENTS},
    parameters::{Parameters, refused},
    reading::{POSITION, Reading},
    state::QueryState,
};

/// The answer's header with the incarnation of the log.
const INCARNATION: &str = "Propty-Incarnation";
/// Events on a page unless asked otherwise, and at most.
const PAGE_LIMIT: (usize, usize) = (100, 1000);
/// How many slices a page may look at: what is wanted may be rare, and the caller may want to know how far it is.
const LOOKS: usize = 5;
const BATCH: &str = "application/cloudevents-batch+json";
const SINGLE: &str = "application/cloudevents+json";
const LINES: &str = "application/x-ndjson";
const REACH: &str = "Managers and integrators of an organization see all public events, those of a property what reaches it: \
    its own, and those of residents who had moved in by then; an integrator's token may be for some types. How far an answer is complete does not depend on that.";

const AFTER: Filter = Filter {
    name: "after",
    kind: Kind::Cursor,
    description: "Only what follows this position; 0, the beginning, by default. `head` is the end of the log.",
    example: "4711",
};
const OF_INCARNATION: Filter = Filter {
    name: "incarnation",
    kind: Kind::Number,
    description: "The incarnation that `after` was given in: 410 when the log was restored from a backup since.",
    example: "1",
};
const TYPES: Filter = Filter {
    name: "types",
    kind: Kind::Types,
    description: "Only these types, separated by commas: in full, without prefix and version, or a family `invoice.*`.",
    example: "invoice.published,payment.*",
};
const AGGREGATE: Filter = Filter {
    name: "aggregate",
    kind: Kind::Aggregate,
    description: "Only events of this kind of aggregate, or of one.",
    example: "invoice/01980a3c-5b1e-7c52-9d7e-0c2f6d1b7a01",
};
const OF_PROPERTY: Filter = Filter { name: "property", ..operation::PROPERTY };
const LIMIT: Filter = Filter {
    name: "limit",
    kind: Kind::Number,
    description: "Events in the answer, from 1 to 1000; 100 by default, and of lines as many as there are.",
    example: "500",
};
const FORMAT: Filter = Filter {
    name: "format",
    kind: Kind::Choice(&["json", "batch", "ndjson"]),
    description: "As `Accept` says it: a page, a CloudEvents batch, or a line for each event up to the head of the log.",
    example: "ndjson",
};

/// `GET /v1/events`
pub const PAGE: Operation = Operation {
    method: "GET",
    path: "/v1/events",
    tag: "Events",
    summary: "What happened after a position, oldest first",
    roles: READERS_OF_EVENTS,
    reach: REACH,
    filters: &[AFTER, LIMIT, TYPES, AGGREGATE, OF_PROPERTY, OF_INCARNATION, FORMAT],
    sorts: &[],
    example: include_str!("examples/event_page.json"),
};

/// `GET /v1/events/stream`
pub const STREAM: Operation = Operation {
    method: "GET",
    path: "/v1/events/stream",
    tag: "Events",
    summary: "What happens, as it happens, as server-sent events",
    roles: READERS_OF_EVENTS,
    reach: REACH,
    filters: &[AFTER, TYPES, AGGREGATE, OF_PROPERTY, OF_INCARNATION],
    sorts: &[],
    example: "",
};

/// `GET /v1/events/{position}`
pub const ONE: Operation = Operation {
    method: "GET",
    path: "/v1/events/{position}",
    tag: "Events",
    summary: "Show the event at a position",
    roles: READERS_OF_EVENTS,
    reach: REACH,
    filters: &[],
    sorts: &[],
    example: include_str!("examples/event.json"),
};

/// `GET /v1/events/snapshot`
pub const SNAPSHOT: Operation = Operation {
    method: "GET",
    path: "/v1/events/snapshot",
    tag: "Events",
    summary: "From which position to go on beside what the lists show",
    roles: READERS_OF_EVENTS,
    reach: "Everybody gets the same position. What the lists show beside it is as wide as the caller's role.",
    filters: &[],
    sorts: &[],
    example: include_str!("examples/event_snapshot.json"),
};

/// One event in `CloudEvents` 1.0.
#[derive(Debug, Clone, Object)]
pub struct CloudEvent {
    pub specversion: String,
    /// The position and the beginning of the event's hash: the same whenever and wherever it is read.
    pub id: String,
    /// `urn:propty:organization:…`
    pub source: String,
    /// `org.propty.invoice.published.v1`
    #[oai(rename = "type")]
    pub kind: String,
    /// The aggregate, `invoice/…`.
    pub subject: String,
    pub time: Instant,
    pub datacontenttype: String,
    /// Where the JSON Schema of `data` is.
    pub dataschema: String,
    /// The place in the organization's log.
    pub position: i64,
    /// The event's number in its aggregate, from 1.
    pub version: i64,
    /// The property that it belongs to, if it does.
    #[oai(skip_serializing_if_is_none)]
    pub property: Option<Uuid>,
    /// Shared by everything that one outside cause set in motion.
    pub correlationid: Uuid,
    /// The event that it follows from, as `subject/version`.
    #[oai(skip_serializing_if_is_none)]
    pub causationid: Option<String>,
    /// As the type's schema says.
    pub data: Any<Value>,
}

/// Some events, and where to go on.
#[derive(Debug, Clone, Object)]
pub struct EventPage {
    pub events: Vec<CloudEvent>,
    /// Nothing that was asked for is missing up to this position.
    pub complete_up_to: i64,
    /// The last position of the log: where `complete_up_to` reaches it, there is nothing more for now.
    pub head: i64,
    /// Changes when the log was restored from a backup.
    pub incarnation: i32,
    /// What to ask next, now or later.
    pub next: String,
}

/// A position that the lists have reached.
#[derive(Debug, Clone, Object)]
pub struct Snapshot {
    /// Every list that is read after this answer shows at least this position. Read what you need, then go on from here; an
    /// event whose `version` is not above the row's is in the row already.
    pub position: i64,
    pub incarnation: i32,
    /// The feed from here.
    pub next: String,
    /// The lists of current state.
    pub state: Vec<String>,
    pub meta: Meta,
}

/// Events in one of the forms.
#[derive(Debug)]
pub struct EventsAnswer(Response);

impl IntoResponse for EventsAnswer {
    fn into_response(self) -> Response {
        self.0
    }
}

fn lines_media(content_type: &'static str) -> MetaMediaType {
    MetaMediaType { content_type, schema: String::schema_ref() }
}

impl ApiResponse for EventsAnswer {
    fn meta() -> MetaResponses {
        let batch = MetaSchemaRef::Inline(Box::new(poem_openapi::registry::MetaSchema {
            items: Some(Box::new(CloudEvent::schema_ref())),
            ..poem_openapi::registry::MetaSchema::new("array")
        }));
        let content = vec![
            media::<Json<EventPage>>("application/json; charset=utf-8"),
            MetaMediaType { content_type: BATCH, schema: batch },
            lines_media(LINES),
        ];
        let text = "Events. `Propty-Position` is how far they are complete; of lines, if they arrive to their end.";
        responses(vec![response(200, text, content, vec![position_header()])], &[400, 401, 403, 410, 422, 429, 503])
    }

    fn register(registry: &mut Registry) {
        EventPage::register(registry);
        ProblemBody::register(registry);
    }
}

/// The stream that has no end.
#[derive(Debug)]
pub struct StreamAnswer(Body, i32);

impl IntoResponse for StreamAnswer {
    fn into_response(self) -> Response {
        // Proxies that collect answers would hold events back.
        let answer = Response::builder().content_type("text/event-stream").header("X-Accel-Buffering", "no");
        answer.header(INCARNATION, self.1).body(self.0)
    }
}

impl ApiResponse for StreamAnswer {
    fn meta() -> MetaResponses {
        let text = "Server-sent events: `id:` is the position, `data:` one CloudEvent. A comment every 15 s is a sign of life; one \
                    with an `id:` says how far nothing was wanted. Go on with `Last-Event-ID`.";
        responses(
            vec![response(200, text, vec![lines_media("text/event-stream")], vec![])],
            &[400, 401, 403, 410, 422, 429, 503],
        )
    }

    fn register(registry: &mut Registry) {
        ProblemBody::register(registry);
    }
}

/// One event.
#[derive(Debug)]
pub struct EventAnswer(Vec<u8>);

impl IntoResponse for EventAnswer {
    fn into_response(self) -> Response {
        Response::builder().content_type(SINGLE).body(self.0)
    }
}

impl ApiResponse for EventAnswer {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: SINGLE, schema: CloudEvent::schema_ref() }];
        responses(vec![response(200, "The event.", content, vec![])], &[400, 401, 403, 404, 503])
    }

    fn register(registry: &mut Registry) {
        CloudEvent::register(registry);
        ProblemBody::register(registry);
    }
}

/// What a request asks of the feed, and by whom.
struct Question {
    parameters: Parameters,
    wanted: Wanted,
}

impl Question {
    fn read(operation: &Operation, caller: &Caller, request: &Request) -> Result<Self, Problem> {
        caller.admit(operation.roles)?;
        let parameters = Parameters::read(operation, request)?;
        let mut wanted = Wanted::all(caller.organization);
        if let Some(types) = parameters.text("types") {
            wanted.types = Selection::parse(types).map_err(|unknown| refused("types", &unknown.to_string()))?;
        }
        wanted.types = wanted.types.within(&Selection::named(caller.types.iter().map(String::as_str)));
        wanted.aggregate = parameters.text("aggregate").and_then(Aggregate::parse);
        wanted.properties = caller.property.map(|own| own.0).into_iter().chain(parameters.value("property")).collect();
        Ok(Self { parameters, wanted })
    }

    /// Where to begin: 410 when this history does not know that position.
    async fn after(&self, state: &QueryState, last: Option<i64>) -> Result<(i64, i64, i32), Problem> {
        let (head, incarnation) = state.feed.head(&self.wanted).await?;
        let after = match (last, self.parameters.text("after")) {
            (Some(last), _) => last,
            (None, Some("head")) => head,
            (None, _) => self.parameters.value("after").unwrap_or(0),
        };
        let of = self.parameters.value::<i64>("incarnation").unwrap_or(i64::from(incarnation));
        if after > head || of != i64::from(incarnation) {
            return Err(state.feed.beyond(self.wanted.organization, after, head, (incarnation, of)).await);
        }
        Ok((after, head, incarnation))
    }

    fn limit(&self) -> Result<Option<usize>, Problem> {
        let (_, most) = PAGE_LIMIT;
        match self.parameters.value::<usize>("limit") {
            None => Ok(None),
            Some(limit) if (1..=most).contains(&limit) => Ok(Some(limit)),
            Some(_) => Err(refused("limit", &format!("must be a whole number from 1 to {most}"))),
        }
    }

    /// The same question from another position on.
    fn next(&self, position: i64, incarnation: i32) -> String {
        let mut text = format!("{}?after={position}&incarnation={incarnation}", PAGE.path);
        for (filter, value) in &self.parameters.filters {
            if !["after", "incarnation"].contains(&filter.name) {
                // What passed the checks is made of letters, digits and a few signs that queries take as they are, but for spaces.
                let _ = write!(text, "&{}={}", filter.name, value.replace(' ', ""));
            }
        }
        text
    }

    /// Some events after a position, at most as many as wanted.
    async fn page(&self, state: &QueryState, after: i64, limit: usize) -> Result<Slice, Problem> {
        let mut page = state.feed.slice(&self.wanted, after, i64::MAX, MOST).await?;
        for _ in 1..LOOKS {
            if page.shown.len() >= limit || page.complete >= page.head {
                break;
            }
            let more = state.feed.slice(&self.wanted, page.complete, i64::MAX, MOST).await?;
            page.shown.extend(more.shown);
            page.complete = more.complete;
            page.head = more.head;
        }
        if page.shown.len() > limit {
            page.shown.truncate(limit);
            page.complete = page.shown.last().map_or(page.complete, |last| last.position);
        }
        Ok(page)
    }
}

/// `GET /v1/events`
pub async fn page(state: &QueryState, caller: &Caller, request: &Request) -> poem::Result<EventsAnswer> {
    let question = Question::read(&PAGE, caller, request)?;
    let limit = question.limit()?;
    let (after, head, incarnation) = question.after(state, None).await?;
    let format = question.parameters.text("format").unwrap_or_else(|| preferred(request));
    if format == "ndjson" && limit.is_none() {
        let watched = (watched(request)?, state.feed.exporting(caller.organization)?);
        let export = Export::new(state.feed.clone(), question.wanted.clone(), after, head, Some(watched));
        return Ok(answer(&question, LINES, Body::from_bytes_stream(export.stream()), head, incarnation));
    }
    let page = question.page(state, after, limit.unwrap_or(PAGE_LIMIT.0)).await?;
    let (complete, incarnation) = (page.complete, page.incarnation);
    if format == "ndjson" {
        let body = crate::feed::lines(&page.shown);
        return Ok(answer(&question, LINES, body.into(), complete, incarnation));
    }
    let mut body = Vec::with_capacity(page.shown.iter().map(|one| one.line.len() + 1).sum::<usize>() + 256);
    body.extend_from_slice(if format == "batch" { b"[" } else { b"{\"events\":[" });
    for (place, one) in page.shown.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&one.line);
    }
    body.push(b']');
    if format == "batch" {
        return Ok(answer(&question, BATCH, body.into(), complete, incarnation));
    }
    let rest = json!({
        "complete_up_to": complete, "head": page.head, "incarnation": incarnation,
        "next": question.next(complete, incarnation),
    });
    body.push(b',');
    // Without its opening brace: the events stand before it.
    body.extend_from_slice(rest.to_string().as_bytes().get(1..).unwrap_or_default());
    Ok(answer(&question, "application/json; charset=utf-8", body.into(), complete, incarnation))
}

fn answer(question: &Question, content_type: &str, body: Body, complete: i64, incarnation: i32) -> EventsAnswer {
    let next = question.next(complete, incarnation);
    EventsAnswer(
        Response::builder()
            .content_type(content_type)
            .header(POSITION, complete)
            .header(INCARNATION, incarnation)
            .header("Link", format!("<{next}>; rel=\"next\""))
            .body(body),
    )
}

/// The form that `Accept` names first.
fn preferred(request: &Request) -> &'static str {
    let accept = request.header(header::ACCEPT).unwrap_or_default();
    let first = accept.split(',').next().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match first {
        BATCH => "batch",
        LINES | "application/jsonl" | "application/ndjson" => "ndjson",
        _ => "json",
    }
}

fn watched(request: &Request) -> Result<Watched, Problem> {
    let authenticator = request.data::<Authenticator>().ok_or_else(Problem::unauthenticated)?;
    Ok(Watched::new(authenticator.clone(), authenticator.ticket(request)?))
}

/// `GET /v1/events/stream`
pub async fn stream(state: &QueryState, caller: &Caller, request: &Request) -> poem::Result<StreamAnswer> {
    let question = Question::read(&STREAM, caller, request)?;
    let last = request.header("Last-Event-ID").map(str::trim).filter(|text| !text.is_empty());
    let last = last.map(|text| {
        let number = text.parse::<i64>().ok().filter(|position| *position >= 0);
        number.ok_or_else(|| {
            Problem::malformed("`Last-Event-ID` must be a position").with("parameter", json!("Last-Event-ID"))
        })
    });
    let (after, _, incarnation) = question.after(state, last.transpose()?).await?;
    let live = Live::begin(state.feed.clone(), question.wanted, after, Some(watched(request)?)).await?;
    Ok(StreamAnswer(Body::from_bytes_stream(live.stream()), incarnation))
}

/// `GET /v1/events/{position}`
pub async fn one(state: &QueryState, caller: &Caller, request: &Request, position: &str) -> poem::Result<EventAnswer> {
    let question = Question::read(&ONE, caller, request)?;
    let position = position.parse::<i64>().ok().filter(|position| *position > 0).ok_or_else(missing)?;
    let (head, _) = state.feed.head(&question.wanted).await?;
    if position > head {
        return Err(missing().into());
    }
    let found = state.feed.slice(&question.wanted, position - 1, position, 1).await?;
    Ok(EventAnswer(found.shown.first().ok_or_else(missing)?.line.clone()))
}

/// `GET /v1/events/snapshot`
pub async fn snapshot(state: &QueryState, caller: &Caller, request: &Request) -> poem::Result<Detail<Snapshot>> {
    Asked::read(state, &SNAPSHOT, caller, request, None)?;
    let reading = Reading::now(state, caller).await?;
    let (position, incarnation) = (reading.as_of.as_of, reading.as_of.incarnation);
    // The feed tells nothing of who is sent webhooks.
    let told = |one: &&Operation| one.is_list() && !one.path.contains('{') && one.tag != "Webhooks";
    let lists = operation::OPERATIONS.iter().filter(told);
    let body = Snapshot {
        position,
        incarnation,
        next: format!("{}?after={position}&incarnation={incarnation}", PAGE.path),
        state: lists.filter(|one| one.roles.contains(&caller.role)).map(|one| one.path.to_owned()).collect(),
        meta: reading.as_of.into(),
    };
    Ok(Detail { body: Some(body), version: None, position })
}

/// A document of the contract by its path below `/schemas/`, or `asyncapi.json`.
pub fn contract(path: &str, public_url: &str) -> Option<String> {
    static DOCUMENTS: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    if path == "asyncapi.json" {
        return Some(format!("{:#}\n", public_events::asyncapi::document(public_url)));
    }
    let documents = DOCUMENTS.get_or_init(|| {
        let types = public_events::schema::all();
        let types =
            types.iter().map(|one| (format!("public/{}", one.declared.schema_file), format!("{:#}\n", one.schema)));
        let envelope = format!("{:#}\n", public_events::schema::envelope());
        types.chain([("public/envelope.json".to_owned(), envelope)]).collect()
    });
    documents.get(path).cloned()
}
