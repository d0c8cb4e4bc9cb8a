//! What all queries share: who may see what, paging by cursor, and rows read as JSON.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row, error::DatabaseError};
use uuid::Uuid;

/// What the caller may see of the organization; both absent means all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Visibility {
    /// Only this property.
    pub property: Option<Uuid>,
    /// Only this resident's own.
    pub resident: Option<Uuid>,
}

/// Where a page ended. The HTTP layer decides how it looks outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The order in which it was listed.
    pub sort: String,
    /// The last row's value in that order, as text.
    pub value: String,
    pub id: Uuid,
    /// Cursors of a history that was since replaced are refused.
    pub incarnation: i32,
}

/// Some rows, and where the next begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Absent on the last page.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// The page with its rows changed.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(change).collect(), next: self.next }
    }
}

/// How many rows are wanted, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging {
    /// From 1 to [`Paging::MOST`]; anything else is taken as the nearest of them.
    pub limit: u32,
    pub after: Option<Cursor>,
}

impl Paging {
    /// The most rows on a page.
    pub const MOST: u32 = 500;
}

impl Default for Paging {
    fn default() -> Self {
        Self { limit: 50, after: None }
    }
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("the read models could not be asked")]
    Database(#[from] sqlx::Error),
    #[error("a row could not be read")]
    Row(#[from] serde_json::Error),
    #[error("the cursor does not belong to this list and order; start again without it")]
    BadCursor,
    #[error("the cursor belongs to a history that was replaced; start again without it")]
    StaleCursor,
}

/// An order of rows: a column of the selection, its SQL type, and the key that breaks ties.
#[derive(Debug, Clone)]
pub(crate) struct Sort {
    column: &'static str,
    kind: &'static str,
    key: &'static str,
    descending: bool,
}

impl Sort {
    pub(crate) const fn new(column: &'static str, kind: &'static str, key: &'static str) -> Self {
        Self { column, kind, key, descending: false }
    }

    pub(crate) const fn text(column: &'static str, key: &'static str) -> Self {
        Self::new(column, "text", key)
    }

    pub(crate) const fn instant(column: &'static str, key: &'static str) -> Self {
        Self::new(column, "timestamptz", key)
    }

    pub(crate) const fn descending(self) -> Self {
        self.directed(true)
    }

    pub(crate) const fn directed(mut self, descending: bool) -> Self {
        self.descending = descending;
        self
    }

    fn name(&self) -> String {
        format!("{}{}", if self.descending { "-" } else { "" }, self.column)
    }
}

pub(crate) type Query = QueryBuilder<'static, Postgres>;

/// Begins a selection, to be ended by [`all`], [`first`] or [`page`].
pub(crate) fn select(sql: &str) -> Query {
    QueryBuilder::new(format!("with listed as ({sql}"))
}

/// Adds ` and <condition> <value>` if there is a value.
pub(crate) fn and<T>(query: &mut Query, condition: &str, value: Option<T>)
where
    T: sqlx::Encode<'static, Postgres> + sqlx::Type<Postgres> + Send + 'static,
{
    if let Some(value) = value {
        query.push(" and ").push(condition).push_bind(value);
    }
}

/// Restricts rows that name both a property and a resident.
pub(crate) fn within(query: &mut Query, property: &str, resident: &str, visibility: Visibility) {
    and(query, &format!("{property} = "), visibility.property);
    and(query, &format!("{resident} = "), visibility.resident);
}

/// Restricts rows that name a property and are no resident's business.
pub(crate) fn within_property(query: &mut Query, property: &str, visibility: Visibility) {
    and(query, &format!("{property} = "), visibility.property);
    if visibility.resident.is_some() {
        query.push(" and false");
    }
}

/// Restricts rows that name a resident only: a property sees everybody who lives or lived there.
pub(crate) fn within_resident(query: &mut Query, resident: &str, visibility: Visibility) {
    if let Some(property) = visibility.property {
        lives_in(query, resident, "property_id", property);
    }
    and(query, &format!("{resident} = "), visibility.resident);
}

/// Restricts to residents with a stay, present or past, in a property or unit.
pub(crate) fn lives_in(query: &mut Query, resident: &str, place: &str, id: Uuid) {
    query
        .push(format!(
            " and exists (select from read.residency stay where stay.resident_id = {resident} and stay.{place} = "
        ))
        .push_bind(id)
        .push(")");
}

/// Every selected row.
pub(crate) async fn all<T: DeserializeOwned>(
    connection: &mut PgConnection,
    mut query: Query,
) -> Result<Vec<T>, QueryError> {
    let rows = query.push(") select row_to_json(listed) from listed").build_query_scalar::<Value>();
    rows.fetch_all(connection)
        .await?
        .into_iter()
        .map(|row| serde_json::from_value(row).map_err(QueryError::from))
        .collect()
}

/// The first selected row.
pub(crate) async fn first<T: DeserializeOwned>(
    connection: &mut PgConnection,
    mut query: Query,
) -> Result<Option<T>, QueryError> {
    let row = query
        .push(") select row_to_json(listed) from listed limit 1")
        .build_query_scalar::<Value>()
        .fetch_optional(connection)
        .await?;
    Ok(row.map(serde_json::from_value).transpose()?)
}

/// A page of the selected rows. Rows that appear or move meanwhile never push others off it.
pub(crate) async fn page<T: DeserializeOwned>(
    connection: &mut PgConnection,
    mut query: Query,
    sort: &Sort,
    paging: &Paging,
) -> Result<Page<T>, QueryError> {
    let limit = paging.limit.clamp(1, Paging::MOST);
    let incarnation: i32 =
        sqlx::query_scalar("select incarnation from engine.installation").fetch_one(&mut *connection).await?;
    let Sort { column, kind, key, descending } = sort;
    query.push(format!(
        ") select row_to_json(listed) as row, (listed.{column})::text as value, listed.{key} as id from listed"
    ));
    if let Some(cursor) = &paging.after {
        if cursor.incarnation != incarnation {
            return Err(QueryError::StaleCursor);
        }
        if cursor.sort != sort.name() {
            return Err(QueryError::BadCursor);
        }
        let beyond = if *descending { "<" } else { ">" };
        query
            .push(format!(" where (listed.{column}, listed.{key}) {beyond} ("))
            .push_bind(cursor.value.clone())
            .push(format!("::text::{kind}, "))
            .push_bind(cursor.id)
            .push(")");
    }
    let direction = if *descending { "desc" } else { "asc" };
    query
        .push(format!(" order by listed.{column} {direction}, listed.{key} {direction} limit "))
        .push_bind(i64::from(limit) + 1);
    let rows = query.build().fetch_all(connection).await.map_err(|error| refused(error, paging))?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let last = if rows.len() > wanted { rows.get(wanted - 1) } else { None };
    let next = last
        .map(|row| {
            let (value, id) = (row.try_get("value")?, row.try_get("id")?);
            Ok::<_, sqlx::Error>(Cursor { sort: sort.name(), value, id, incarnation })
        })
        .transpose()?;
    let items = rows
        .iter()
        .take(wanted)
        .map(|row| Ok(serde_json::from_value(row.try_get::<Value, _>("row")?)?))
        .collect::<Result<_, QueryError>>()?;
    Ok(Page { items, next })
}

/// A cursor's value comes from outside: one that is no date or number is the caller's mistake.
fn refused(error: sqlx::Error, paging: &Paging) -> QueryError {
    let malformed = error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| code.starts_with("22"));
    if malformed && paging.after.is_some() { QueryError::BadCursor } else { error.into() }
}
