//! The ledger as it is asked for: entries, balances, and what an export needs besides.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::query::{Page, Paging, Query, QueryError, Sort, Visibility, all, and, first, page, select, within_property};

/// An entry with what people call the things that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryView {
    pub entry_id: Uuid,
    /// Short and the organization's own: the position of its event in the log.
    pub number: String,
    /// The event's name, or `FundsAvailable`.
    pub kind: String,
    /// The property's local day on which it counts.
    pub day: NaiveDate,
    pub at: DateTime<Utc>,
    /// The event, as `stream/id/version`.
    pub event: String,
    pub property_id: Option<Uuid>,
    pub property_name: Option<String>,
    pub unit_id: Option<Uuid>,
    pub unit_label: Option<String>,
    pub resident_id: Option<Uuid>,
    /// Null when it was erased.
    pub resident_name: Option<String>,
    pub invoice_id: Option<Uuid>,
    pub invoice_title: Option<String>,
    pub payment_id: Option<Uuid>,
    pub stripe_account_id: Option<Uuid>,
    pub accounts: Vec<String>,
    /// Minor units; debits are positive.
    pub amounts: Vec<i64>,
    pub currencies: Vec<String>,
    place: String,
}

impl EntryView {
    /// Account, minor units (debits are positive) and currency of each posting.
    pub fn postings(&self) -> impl Iterator<Item = (&str, i64, &str)> {
        let amounts = self.amounts.iter().copied().zip(&self.currencies);
        self.accounts.iter().zip(amounts).map(|(account, (amount, currency))| (&**account, amount, &**currency))
    }
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub visibility: Visibility,
    pub property: Option<Uuid>,
    pub resident: Option<Uuid>,
    pub invoice: Option<Uuid>,
    /// This account, or those below it.
    pub account: Option<String>,
    /// On this local day or later.
    pub from: Option<NaiveDate>,
    /// On this local day or earlier.
    pub until: Option<NaiveDate>,
    /// Only what happened up to this position of the organization's log.
    pub upto: Option<i64>,
    /// Of balances: up to the local day that it is at this moment.
    pub now: Option<DateTime<Utc>>,
}

impl Filter {
    fn restrict(&self, query: &mut Query) {
        query.push(" and entry.place is not null");
        within_property(query, "entry.property_id", self.visibility);
        and(query, "entry.property_id = ", self.property);
        // The account of a resident names the resident, and the index is by resident.
        let holder = self.account.as_deref().and_then(|account| account.rsplit(':').next()?.parse::<Uuid>().ok());
        and(query, "entry.resident_id = ", holder);
        and(query, "entry.resident_id = ", self.resident);
        and(query, "entry.invoice_id = ", self.invoice);
        // A place begins with its day, and the index is by place.
        and(query, "entry.place >= ", self.from.map(|day| day.to_string()));
        and(query, "entry.place < ", self.until.and_then(|day| day.succ_opt()).map(|day| day.to_string()));
        and(query, "entry.position <= ", self.upto);
    }
}

/// Adds ` and <column>` is this account, or one below it.
fn below(query: &mut Query, column: &str, account: &str) {
    query.push(format!(" and ({column} = ")).push_bind(account.to_owned());
    query.push(format!(" or starts_with({column}, ")).push_bind(format!("{account}:")).push("))");
}

/// A page of entries by day, and within a day as they happened.
pub async fn entries(
    connection: &mut PgConnection,
    filter: &Filter,
    descending: bool,
    paging: &Paging,
) -> Result<Page<EntryView>, QueryError> {
    let mut query = select(
        "select entry.row_id as entry_id,
                concat_ws('-', entry.position, nullif(split_part(entry.place, '/', 3), '0')) as number, entry.kind, entry.day, entry.at, entry.place,
                concat_ws('/', entry.stream, entry.stream_id, entry.version) as event, entry.property_id,
                property.name as property_name, coalesce(entry.unit_id, invoice.unit_id) as unit_id,
                unit.label as unit_label, entry.resident_id,
                nullif(concat_ws(' ', resident.first_name, resident.last_name), '') as resident_name, entry.invoice_id,
                invoice.title as invoice_title, entry.payment_id, entry.stripe_account_id,
                entry.accounts, entry.amounts, entry.currencies
         from read.ledger entry
         left join read.property property on property.property_id = entry.property_id
         left join read.invoice invoice on invoice.invoice_id = entry.invoice_id
         left join read.unit unit on unit.unit_id = coalesce(entry.unit_id, invoice.unit_id)
         left join read.resident resident on resident.resident_id = entry.resident_id
         where true",
    );
    filter.restrict(&mut query);
    if let Some(account) = &filter.account {
        query.push(" and exists (select from unnest(entry.accounts) as posted (account) where true");
        below(&mut query, "posted.account", account);
        query.push(")");
    }
    page(connection, query, &Sort::text("place", "entry_id").directed(descending), paging).await
}

/// What an account holds at one property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceRow {
    /// The same for the same property, account and currency.
    pub balance_id: Uuid,
    pub property_id: Option<Uuid>,
    pub property_name: Option<String>,
    pub account: String,
    pub currency: String,
    /// Minor units; debits are positive.
    pub balance: i64,
}

/// A page of balances, zeros included, by account. Residents are taken together unless an account is asked for.
pub async fn balances(
    connection: &mut PgConnection,
    filter: &Filter,
    paging: &Paging,
) -> Result<Page<BalanceRow>, QueryError> {
    let mut query = select(
        "select md5(concat_ws('/', held.property_id, held.account, held.currency))::uuid as balance_id, held.*,
                property.name as property_name
         from (select entry.property_id, ",
    );
    // Whoever asks for no account sees the accounts of residents as one.
    query.push(match filter.account {
        Some(_) => "posting.account",
        None => {
            "case when starts_with(posting.account, 'Assets:Receivable:') then 'Assets:Receivable'
                  when starts_with(posting.account, 'Liabilities:Credit:') then 'Liabilities:Credit'
                  else posting.account end as account"
        }
    });
    query.push(
        ", posting.currency, sum(posting.amount)::bigint as balance
         from read.ledger entry
         left join read.property home on home.property_id = entry.property_id
         cross join lateral unnest(entry.accounts, entry.amounts, entry.currencies)
             as posting (account, amount, currency)
         where true",
    );
    filter.restrict(&mut query);
    if let Some(now) = filter.now {
        query.push(" and entry.day <= (").push_bind(now);
        query.push("::timestamptz at time zone coalesce(home.time_zone, 'UTC'))::date");
    }
    if let Some(account) = &filter.account {
        below(&mut query, "posting.account", account);
    }
    query.push(" group by 1, 2, 3) held left join read.property property on property.property_id = held.property_id");
    page(connection, query, &Sort::text("account", "balance_id"), paging).await
}

#[derive(Deserialize)]
struct Used {
    account: String,
    currency: String,
}

/// The accounts with postings, and their currencies, of all entries that are wanted.
pub async fn accounts(connection: &mut PgConnection, filter: &Filter) -> Result<Vec<(String, String)>, QueryError> {
    let mut query = select(
        "select distinct posting.account, posting.currency
         from read.ledger entry, unnest(entry.accounts, entry.currencies) as posting (account, currency) where true",
    );
    filter.restrict(&mut query);
    query.push(" order by 1, 2");
    let used: Vec<Used> = all(connection, query).await?;
    Ok(used.into_iter().map(|Used { account, currency }| (account, currency)).collect())
}

/// Who stands behind the accounts that end in a resident's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    pub resident_id: Uuid,
    /// Null when it was erased.
    pub name: Option<String>,
}

/// The names of residents.
pub async fn names(connection: &mut PgConnection, residents: Vec<Uuid>) -> Result<Vec<Names>, QueryError> {
    let mut query = select(
        "select resident_id, nullif(concat_ws(' ', first_name, last_name), '') as name
         from read.resident where resident_id = any(",
    );
    query.push_bind(residents).push(")");
    all(connection, query).await
}

#[derive(Deserialize)]
struct Reached {
    position: i64,
}

/// The last position that the ledger shows something of: what an export that takes its time is bounded by.
pub async fn reached(connection: &mut PgConnection) -> Result<i64, QueryError> {
    let query = select("select coalesce(max(position), 0) as position from read.ledger");
    Ok(first::<Reached>(connection, query).await?.map_or(0, |reached| reached.position))
}
