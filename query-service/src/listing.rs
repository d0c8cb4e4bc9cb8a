//! Lists: one page as JSON, or all pages one after the other as CSV.

use std::io;

use edge::{Caller, Problem};
use futures_util::stream;
use poem::{Body, Request};
use poem_openapi::types::{ParseFromJSON, ToJSON};
use projections::{Cursor, Paging, QueryError};
use sqlx::PgConnection;

use crate::{
    answer::{Listing, Page, json},
    asked::Asked,
    audit::record_auditor,
    csv, cursor,
    operation::Operation,
    parameters::Format,
    reading::{Reading, refused},
    state::QueryState,
};

/// The item of a list.
pub trait Listed: ParseFromJSON + ToJSON + Send + Sync + 'static {
    const OPERATION: Operation;
    /// The columns of the CSV, as paths into the item. They only ever grow.
    const CSV: &'static [&'static str];

    /// A page of what the caller may see; `Err(Problem)` also where the list itself is not theirs to see.
    fn page(
        asked: &Asked,
        connection: &mut PgConnection,
        paging: &Paging,
    ) -> impl Future<Output = Result<projections::Page<Self>, Problem>> + Send;
}

/// Answers a request for a list.
pub async fn list<T: Listed>(
    state: &QueryState,
    caller: &Caller,
    request: &Request,
    parent: Option<&str>,
) -> poem::Result<Listing<T>> {
    let asked = Asked::read(state, &T::OPERATION, caller, request, parent)?;
    let mut reading = Reading::begin(state, caller, request).await?;
    let as_of = reading.as_of;
    record_auditor(state, caller, &asked, &T::OPERATION, as_of.as_of).await?;
    let question = asked.parameters.question;
    let after =
        asked.parameters.cursor.as_ref().map(|text| cursor::decode(text, question, as_of.incarnation)).transpose()?;
    match asked.parameters.format {
        Format::Json => {
            let paging = Paging { limit: asked.parameters.limit, after };
            let found = T::page(&asked, &mut reading.transaction, &paging).await?;
            let next_cursor = found.next.map(|next| cursor::encode(question, next));
            Ok(Listing::Page(Page { items: found.items, next_cursor, meta: as_of.into() }))
        }
        Format::Csv => {
            let first = rows::<T>(&asked, &mut reading.transaction, after).await?;
            // The reading ends here: a slow reader must not hold a connection.
            drop(reading);
            let body = stream::<T>(state.clone(), caller.clone(), asked, first);
            let name = T::OPERATION.path.rsplit('/').next().unwrap_or("list");
            Ok(Listing::Csv { body, position: as_of.as_of, name })
        }
    }
}

/// Lines of CSV, and where the next begin.
type Rows = (String, Option<Cursor>);

async fn rows<T: Listed>(asked: &Asked, connection: &mut PgConnection, after: Option<Cursor>) -> Result<Rows, Problem> {
    let found = T::page(asked, connection, &Paging { limit: Paging::MOST, after }).await?;
    Ok((found.items.iter().map(|item| csv::line(T::CSV, &json(item))).collect(), found.next))
}

fn stream<T: Listed>(state: QueryState, caller: Caller, asked: Asked, (first, next): Rows) -> Body {
    let begun = (Some(csv::header(T::CSV) + &first), next);
    let pages = stream::try_unfold(begun, move |(ready, next)| {
        let (state, caller, asked) = (state.clone(), caller.clone(), asked.clone());
        async move {
            if let Some(text) = ready {
                return Ok(Some((text, (None, next))));
            }
            let Some(after) = next else { return Ok(None) };
            let mut reading = Reading::now(&state, &caller).await.map_err(io::Error::other)?;
            let (text, next) =
                rows::<T>(&asked, &mut reading.transaction, Some(after)).await.map_err(io::Error::other)?;
            Ok::<_, io::Error>(Some((text, (None, next))))
        }
    });
    Body::from_bytes_stream(pages)
}

/// A page in the words of the API.
pub fn shown<R, T: From<R>>(found: Result<projections::Page<R>, QueryError>) -> Result<projections::Page<T>, Problem> {
    found.map(|page| page.map(T::from)).map_err(refused)
}
