//! The shapes that all answers share: pages, details with their validators, problems.

use poem::{Body, IntoResponse, Response, http::StatusCode};
use poem_openapi::{
    ApiResponse, Object,
    payload::{Json, Payload},
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
    types::{ParseFromJSON, ToJSON, Type},
};
use projections::Freshness;
use serde_json::Value;

use crate::reading::POSITION;

/// An amount of money in minor units of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct Money {
    /// Minor units: 25000 is 250.00 where the currency has two decimals.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
}

impl Money {
    pub fn of(amount: i64, currency: &str) -> Self {
        Self { amount, currency: currency.to_owned() }
    }
}

/// How fresh a list is.
#[derive(Debug, Clone, Object)]
pub struct Meta {
    /// The position of the organization's log that the answer shows.
    pub position: i64,
    /// The last position of the log.
    pub head: i64,
    /// How many events the answer is behind.
    pub lag: i64,
}

impl From<Freshness> for Meta {
    fn from(Freshness { as_of, head, .. }: Freshness) -> Self {
        Self { position: as_of, head, lag: head - as_of }
    }
}

/// One page of a list.
#[derive(Debug, Clone, Object)]
pub struct Page<T: ParseFromJSON + ToJSON + Send + Sync> {
    pub items: Vec<T>,
    /// Send it as `cursor` for the next page; absent on the last one.
    #[oai(skip_serializing_if_is_none)]
    pub next_cursor: Option<String>,
    pub meta: Meta,
}

/// What is wrong, where, and what to do (RFC 9457).
#[derive(Debug, Clone, Object)]
#[oai(rename = "Problem")]
pub struct ProblemBody {
    /// A stable name, `urn:propty:problem:not-found`.
    #[oai(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// The query parameter or header that is wrong.
    #[oai(skip_serializing_if_is_none)]
    pub parameter: Option<String>,
}

/// The answer to a list.
#[derive(Debug)]
pub enum Listing<T: ParseFromJSON + ToJSON + Send + Sync> {
    Page(Page<T>),
    Csv { body: Body, position: i64, name: &'static str },
}

impl<T: ParseFromJSON + ToJSON + Send + Sync> IntoResponse for Listing<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Page(page) => {
                let position = page.meta.position;
                Json(page).with_header(POSITION, position).into_response()
            }
            Self::Csv { body, position, name } => Response::builder()
                .content_type("text/csv; charset=utf-8; header=present")
                .header(POSITION, position)
                .header("Content-Disposition", format!("attachment; filename=\"{name}.csv\""))
                .body(body),
        }
    }
}

impl<T: ParseFromJSON + ToJSON + Send + Sync> ApiResponse for Listing<T> {
    fn meta() -> MetaResponses {
        let content = vec![
            media::<Json<Page<T>>>("application/json; charset=utf-8"),
            MetaMediaType { content_type: "text/csv", schema: String::schema_ref() },
        ];
        let answer = response(200, "A page, or the whole list as CSV.", content, vec![position_header()]);
        responses(vec![answer], &[400, 401, 403, 410, 422, 503])
    }

    fn register(registry: &mut Registry) {
        Page::<T>::register(registry);
        ProblemBody::register(registry);
    }
}

/// One thing, its stream's version, and whether the caller has it already.
#[derive(Debug)]
pub struct Detail<T> {
    pub body: Option<T>,
    pub version: Option<i64>,
    pub position: i64,
}

impl<T: ToJSON + Send + Sync> IntoResponse for Detail<T> {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => Json(body).into_response(),
            None => StatusCode::NOT_MODIFIED.into_response(),
        };
        let headers = response.headers_mut();
        headers.insert(POSITION, self.position.into());
        // Revalidated before each use; the edge would forbid keeping it at all.
        headers.insert("cache-control", poem::http::HeaderValue::from_static("private, no-cache"));
        if let Some(tag) = self.version.and_then(|version| format!("\"{version}\"").parse().ok()) {
            headers.insert("etag", tag);
        }
        response
    }
}

impl<T: ToJSON + ParseFromJSON + Send + Sync> ApiResponse for Detail<T> {
    fn meta() -> MetaResponses {
        let tag = header(
            "ETAG",
            "The stream's version, as commands expect it in `If-Match`; absent where no single stream stands behind it.",
            String::schema_ref(),
        );
        let content = vec![media::<Json<T>>("application/json; charset=utf-8")];
        let answer = response(200, "As it stands.", content, vec![position_header(), tag]);
        let same = response(304, "Nothing has changed since the version in `If-None-Match`.", vec![], vec![]);
        responses(vec![answer, same], &[400, 401, 403, 404, 422, 503])
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
        ProblemBody::register(registry);
    }
}

pub fn responses(mut answers: Vec<MetaResponse>, problems: &[u16]) -> MetaResponses {
    answers.extend(problems.iter().map(|status| {
        let content =
            vec![MetaMediaType { content_type: "application/problem+json", schema: ProblemBody::schema_ref() }];
        response(*status, problem(*status), content, vec![])
    }));
    MetaResponses { responses: answers }
}

/// What a status means here.
const fn problem(status: u16) -> &'static str {
    match status {
        400 => "The request cannot be read.",
        401 => "Who is calling is not known.",
        403 => "This role may not ask that.",
        404 => "There is no such thing, or it is not the caller's to see.",
        410 => "The cursor or position is from before a restore; start again without it.",
        422 => "A parameter is unknown or not acceptable; `parameter` names it.",
        429 => "Too many at once; `Retry-After` says when to ask again.",
        503 => "Not caught up to `Propty-Min-Position`, or the database is away; `Retry-After` says when to ask again.",
        _ => "Something else went wrong.",
    }
}

pub fn response(
    status: u16,
    description: &'static str,
    content: Vec<MetaMediaType>,
    headers: Vec<MetaHeader>,
) -> MetaResponse {
    MetaResponse { description, status: Some(status), status_range: None, content, headers }
}

pub fn media<P: Payload>(content_type: &'static str) -> MetaMediaType {
    MetaMediaType { content_type, schema: P::schema_ref() }
}

pub fn position_header() -> MetaHeader {
    header("PROPTY-POSITION", "The position of the organization's log that the answer shows.", i64::schema_ref())
}

fn header(name: &str, description: &str, schema: MetaSchemaRef) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required: name != "ETAG",
        deprecated: false,
        schema,
    }
}

/// An item as JSON, as CSV is made of it.
pub fn json<T: ToJSON>(item: &T) -> Value {
    item.to_json().unwrap_or_default()
}
