//! How far a day's charges are.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::query::{QueryError, Visibility, and, first, select, within_property};

/// Invoices that fell due on one day under autopay, each counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub total: i64,
    /// Autopay took the money.
    pub charged: i64,
    /// A charge was begun and has no outcome yet.
    pub in_flight: i64,
    /// Of those in flight: somebody has to look.
    pub unresolved: i64,
    /// A charge was declined or came back, and none has succeeded since.
    pub failed: i64,
    /// Autopay is paused.
    pub waiting: i64,
    /// Above the cap: the resident is asked.
    pub held: i64,
    pub not_yet: i64,
    /// Paid by hand, by credit, or by the resident in person.
    pub settled_otherwise: i64,
}

/// The run of a day; without one, of today in each property's zone, as of `now` on the business clock.
pub async fn run(
    connection: &mut PgConnection,
    visibility: Visibility,
    property: Option<Uuid>,
    due_on: Option<NaiveDate>,
    now: DateTime<Utc>,
) -> Result<Run, QueryError> {
    let mut query = select(
        "select count(*) as total,
                count(*) filter (where state = 'Charged') as charged,
                count(*) filter (where state = 'InFlight') as in_flight,
                count(*) filter (where state = 'InFlight' and unresolved) as unresolved,
                count(*) filter (where state = 'Failed') as failed,
                count(*) filter (where state = 'Waiting') as waiting,
                count(*) filter (where state = 'Held') as held,
                count(*) filter (where state = 'NotYet') as not_yet,
                count(*) filter (where state = 'SettledOtherwise') as settled_otherwise
         from (select attempts.unresolved,
                      case when attempts.in_flight then 'InFlight'
                           when invoice.balance <= 0 and attempts.charged then 'Charged'
                           when invoice.balance <= 0 then 'SettledOtherwise'
                           when attempts.failed then 'Failed'
                           when exists (select from json_array_elements(autopay.held) item
                                        where item->>'invoice_id' = invoice.invoice_id::text) then 'Held'
                           when autopay.status = 'Paused' then 'Waiting'
                           else 'NotYet' end as state
               from read.invoice invoice
               left join read.autopay autopay
                   on autopay.resident_id = invoice.resident_id and autopay.property_id = invoice.property_id
               cross join lateral (
                   select count(*) > 0 as any,
                          coalesce(bool_or(payment.phase = 'Succeeded' and coalesce(payment.dispute_status, 'Won') = 'Won'), false) as charged,
                          coalesce(bool_or(payment.phase not in ('Succeeded', 'Canceled')), false) as in_flight,
                          coalesce(bool_or(payment.failure_code is not null or coalesce(payment.dispute_status, 'Won') <> 'Won'), false) as failed,
                          coalesce(bool_or(payment.unresolved), false) as unresolved
                   from read.payment payment
                   where payment.invoice_id = invoice.invoice_id and payment.autopay_id is not null
                     and payment.requested_at is not null) attempts
               where invoice.phase = 'Published' and (autopay.status in ('Active', 'Paused') or attempts.any)",
    );
    if let Some(day) = due_on {
        and(&mut query, "invoice.due_on = ", Some(day));
    } else {
        query
            .push(" and invoice.due_on = (")
            .push_bind(now)
            .push("::timestamptz at time zone invoice.time_zone)::date");
        // The same once more in a form that the index knows: no zone is further than a day from UTC.
        and(&mut query, "invoice.due_on >= ", Some((now - TimeDelta::days(1)).date_naive()));
        and(&mut query, "invoice.due_on <= ", Some((now + TimeDelta::days(1)).date_naive()));
    }
    within_property(&mut query, "invoice.property_id", visibility);
    and(&mut query, "invoice.property_id = ", property);
    query.push(") invoices");
    Ok(first(connection, query).await?.unwrap_or_default())
}
