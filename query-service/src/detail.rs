//! One thing with its validators: the `ETag` is its stream's version, as commands expect it in `If-Match`.

use edge::{Caller, Problem};
use poem::{Request, http::header};
use poem_openapi::types::{ParseFromJSON, ToJSON};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    answer::Detail,
    asked::{Asked, missing},
    audit::record_auditor,
    operation::Operation,
    reading::Reading,
    state::QueryState,
};

/// A stream by its type and id.
pub type Stream = (&'static str, Uuid);

/// A thing that can be asked for by its id.
pub trait Detailed: ParseFromJSON + ToJSON + Send + Sync + 'static {
    const OPERATION: Operation;

    /// The thing, if the caller may see it.
    fn find(
        asked: &Asked,
        connection: &mut PgConnection,
        id: Uuid,
    ) -> impl Future<Output = Result<Option<Self>, Problem>> + Send;

    /// Its stream and version; absent where no single stream stands behind it.
    fn tag(&self) -> Option<(Stream, i64)>;

    /// The other streams whose events the answer shows.
    fn related(&self) -> Vec<Stream> {
        Vec::new()
    }

    /// Whether the passing of time alone may have changed it.
    fn ages(&self) -> bool {
        false
    }
}

/// Answers a request for one thing.
pub async fn detail<T: Detailed>(
    state: &QueryState,
    caller: &Caller,
    request: &Request,
    id: &str,
) -> poem::Result<Detail<T>> {
    let asked = Asked::read(state, &T::OPERATION, caller, request, Some(id))?;
    let mut reading = Reading::begin(state, caller, request).await?;
    let id = asked.id.ok_or_else(missing)?;
    let found = T::find(&asked, &mut reading.transaction, id).await?.ok_or_else(missing)?;
    record_auditor(state, caller, &asked, &T::OPERATION, reading.as_of.as_of).await?;
    let tag = found.tag();
    let mut same = false;
    if let (Some((stream, version)), Some(known)) = (tag, request.header(header::IF_NONE_MATCH)) {
        same = names(known, version)
            && !found.ages()
            && unchanged(&mut reading.transaction, stream, version, &found.related()).await?;
    }
    let version = tag.map(|(_, version)| version);
    Ok(Detail { body: (!same).then_some(found), version, position: reading.as_of.as_of })
}

/// Whether `If-None-Match` names the version.
fn names(header: &str, version: i64) -> bool {
    header.split(',').any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"').parse() == Ok(version)
    })
}

/// The tag knows of its own stream only: what else the answer shows must not have moved since that version.
async fn unchanged(
    connection: &mut PgConnection,
    (stream, id): Stream,
    version: i64,
    related: &[Stream],
) -> Result<bool, Problem> {
    let (streams, ids): (Vec<&str>, Vec<String>) = related.iter().map(|(stream, id)| (*stream, id.to_string())).unzip();
    Ok(sqlx::query_scalar(
        "select not exists (
             select from unnest($4::text[], $5::text[]) as related (stream, id)
             join log.entries later on later.aggregate_type = related.stream and later.aggregate_id = related.id
             where later.position > own.position)
         from log.entries own where own.aggregate_type = $1 and own.aggregate_id = $2 and own.sequence = $3",
    )
    .bind(stream)
    .bind(id.to_string())
    .bind(version)
    .bind(streams)
    .bind(ids)
    .fetch_optional(connection)
    .await?
    .unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_its_list() {
        for header in ["\"7\"", "W/\"7\"", "\"1\", \"7\"", "*"] {
            assert!(names(header, 7), "{header}");
        }
        for header in ["\"8\"", "", "\"77\"", "x"] {
            assert!(!names(header, 7), "{header}");
        }
    }
}
