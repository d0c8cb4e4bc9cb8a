//! The audit of a ledger: every entry balances, and it agrees with what invoices and credits say of themselves.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::query::{QueryError, all, first, select};

/// Something that does not agree. Amounts are minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What it is about: `entry …`, `invoice …`.
    pub what: String,
    pub currency: String,
    /// What the ledger holds.
    pub ledger: i64,
    /// What it should hold.
    pub expected: i64,
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audit {
    pub entries: i64,
    pub invoices: i64,
    pub differences: Vec<Difference>,
    /// Money or credit on its way between two streams: nothing, when nothing is under way.
    pub under_way: Vec<Difference>,
}

const UNBALANCED: &str = "
    select concat_ws(' ', 'entry', entry.row_id, entry.kind) as what, posting.currency,
           sum(posting.amount)::bigint as ledger, 0 as expected
    from read.ledger entry, unnest(entry.amounts, entry.currencies) as posting (amount, currency)
    where entry.place is not null
    group by entry.row_id, entry.kind, posting.currency having sum(posting.amount) <> 0
    order by 1 limit 1000";

/// What a draft or a void invoice shows as its balance is not owed; what was paid on it nevertheless is owed back. What was
/// written off counts as void too, but may be owed again.
const RECEIVABLES: &str = "
    with owed as (
        select entry.invoice_id, posting.currency, sum(posting.amount)::bigint as amount
        from read.ledger entry, unnest(entry.accounts, entry.amounts, entry.currencies)
            as posting (account, amount, currency)
        where entry.place is not null and entry.invoice_id is not null
          and starts_with(posting.account, 'Assets:Receivable:')
        group by entry.invoice_id, posting.currency),
    written_off as (
        select stream_id as invoice_id, (state #>> '{Invoice,written_off}')::bigint as amount
        from read.ledger where stream = 'invoice' and state is not null)
    select concat_ws(' ', 'invoice', coalesce(due.invoice_id, owed.invoice_id)) as what,
           coalesce(due.currency, owed.currency) as currency, coalesce(owed.amount, 0) as ledger,
           coalesce(due.amount, 0) - coalesce(written_off.amount, 0) as expected
    from (select invoice_id, currency,
                 case when phase = 'Published' or written_off_at is not null then balance else balance - total end as amount
          from read.invoice) due
    full join owed on owed.invoice_id = due.invoice_id and owed.currency = due.currency
    left join written_off on written_off.invoice_id = due.invoice_id
    where coalesce(owed.amount, 0) <> coalesce(due.amount, 0) - coalesce(written_off.amount, 0)
    order by 1 limit 1000";

const UNDER_WAY: &str = "
    select concat_ws(' ', posting.account, 'of',
                     case when entry.payment_id is not null then 'payment' else 'invoice' end,
                     coalesce(entry.payment_id, entry.invoice_id)) as what,
           posting.currency, sum(posting.amount)::bigint as ledger, 0 as expected
    from read.ledger entry, unnest(entry.accounts, entry.amounts, entry.currencies)
        as posting (account, amount, currency)
    where entry.place is not null and posting.account in ('Liabilities:Unapplied', 'Liabilities:CreditSetAside')
    group by posting.account, entry.payment_id, entry.invoice_id, posting.currency having sum(posting.amount) <> 0
    union all
    select concat_ws(' ', 'credit of resident', held.resident), held.currency, coalesce(owed.amount, 0), held.amount
    from (select state #>> '{Credit,resident}' as resident, state #>> '{Credit,property}' as property,
                 state #>> '{Credit,balance,currency}' as currency,
                 -(state #>> '{Credit,balance,amount}')::bigint as amount
          from read.ledger where stream = 'credit' and state is not null) held
    left join (select posting.account, entry.property_id, posting.currency, sum(posting.amount)::bigint as amount
               from read.ledger entry, unnest(entry.accounts, entry.amounts, entry.currencies)
                   as posting (account, amount, currency)
               where entry.place is not null and starts_with(posting.account, 'Liabilities:Credit:')
               group by 1, 2, 3) owed
        on owed.account = 'Liabilities:Credit:' || held.resident and owed.property_id::text = held.property
           and owed.currency = held.currency
    where coalesce(owed.amount, 0) <> held.amount
    order by 1 limit 1000";

#[derive(Deserialize)]
struct Counts {
    entries: i64,
    invoices: i64,
    level: bool,
}

/// Audits one organization's ledger; `None` while ledger and invoices show different moments of the log.
pub async fn audit(connection: &mut PgConnection) -> Result<Option<Audit>, QueryError> {
    let counts: Option<Counts> = first(
        connection,
        select(
            "select (select count(*) from read.ledger where place is not null) as entries,
                    (select count(*) from read.invoice) as invoices,
                    (select count(distinct known.global_position) = 1
                     from engine.read_models model join engine.checkpoints known
                         on known.subscriber = 'read/' || model.name || '/g' || model.generation
                     where model.state = 'live' and model.name in ('ledger', 'invoice')) as level",
        ),
    )
    .await?;
    let Some(Counts { entries, invoices, level: true }) = counts else { return Ok(None) };
    let mut differences: Vec<Difference> = all(connection, select(UNBALANCED)).await?;
    differences.extend(all::<Difference>(connection, select(RECEIVABLES)).await?);
    let under_way = all(connection, select(UNDER_WAY)).await?;
    Ok(Some(Audit { entries, invoices, differences, under_way }))
}
