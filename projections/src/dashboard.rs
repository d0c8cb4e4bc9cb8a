//! The dashboard: what is owed, for how long, and what came in this month, per currency.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    payout,
    query::{Query, QueryError, Visibility, all, and, first, select, within},
};

/// Invoices of one status and currency. Amounts are minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusTotal {
    pub currency: String,
    /// `Draft`, `Open`, `Paid`, `Overdue` or `Void`.
    pub status: String,
    pub count: i64,
    pub total: i64,
    pub paid: i64,
    /// Outstanding; zero for drafts and void invoices.
    pub balance: i64,
}

/// The outstanding balance of one age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgeTotal {
    pub currency: String,
    /// `NotYetDue`, `0-30`, `31-60`, `61-90` or `90+` days past due.
    pub age: String,
    pub count: i64,
    pub balance: i64,
}

/// What came in during the current calendar month of each property's zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    pub currency: String,
    /// Received on invoices, less what left them again this month.
    pub collected: i64,
    /// Received, before reversals.
    pub received: i64,
    /// Left again: refunds and corrections.
    pub reversed: i64,
    /// Processing fees that residents were charged on top.
    pub fees: i64,
    /// What Stripe kept of what was received, as far as it is known.
    pub processing_fees: i64,
}

/// Payouts to the bank whose day of arrival is in the current calendar month, UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutTotal {
    pub currency: String,
    /// `Pending`, `InTransit`, `Paid`, `Canceled` or `Failed`.
    pub status: String,
    pub count: i64,
    pub amount: i64,
}

/// What somebody has to look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unresolved {
    pub payments: i64,
    pub messages: i64,
}

/// A property's or organization's state at a moment of the business clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dashboard {
    pub by_status: Vec<StatusTotal>,
    pub aging: Vec<AgeTotal>,
    pub this_month: Vec<Collected>,
    /// Of the Stripe accounts in use; a property that shares one sees the account's.
    pub payouts: Vec<PayoutTotal>,
    /// Drafts that wait for publication.
    pub drafts: i64,
    pub unresolved: Unresolved,
}

/// The dashboard of all that the caller may see, or of one property of it, as of `now` on the business clock.
pub async fn dashboard(
    connection: &mut PgConnection,
    visibility: Visibility,
    property: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<Dashboard, QueryError> {
    let scope = Scope { visibility, property };
    let by_status: Vec<StatusTotal> = all(connection, scope.by_status(now)).await?;
    let drafts = by_status.iter().filter(|total| total.status == "Draft").map(|total| total.count).sum();
    Ok(Dashboard {
        by_status,
        aging: all(connection, scope.aging(now)).await?,
        this_month: all(connection, scope.this_month(now)).await?,
        payouts: all(connection, scope.payouts(now)).await?,
        drafts,
        unresolved: first(connection, scope.unresolved()).await?.unwrap_or_default(),
    })
}

#[derive(Clone, Copy)]
struct Scope {
    visibility: Visibility,
    property: Option<Uuid>,
}

impl Scope {
    fn restrict(self, query: &mut Query) {
        within(query, "invoice.property_id", "invoice.resident_id", self.visibility);
        if self.visibility.resident.is_some() {
            query.push(" and invoice.phase in ('Published', 'Void')");
        }
        and(query, "invoice.property_id = ", self.property);
    }

    fn by_status(self, now: DateTime<Utc>) -> Query {
        let mut query = select(
            "select currency, status, count(*) as count, sum(total)::bigint as total, sum(paid)::bigint as paid,
                    coalesce(sum(balance) filter (where phase = 'Published'), 0)::bigint as balance
             from (select invoice.*, case when invoice.phase <> 'Published' then invoice.phase
                                          when invoice.balance <= 0 then 'Paid'
                                          when invoice.due_on < (",
        );
        query.push_bind(now).push(
            "::timestamptz at time zone invoice.time_zone)::date then 'Overdue' else 'Open' end as status
             from read.invoice invoice where invoice.phase <> 'Discarded'",
        );
        self.restrict(&mut query);
        query.push(") invoice group by currency, status order by currency, status");
        query
    }

    fn aging(self, now: DateTime<Utc>) -> Query {
        let mut query = select(
            "select currency, age, count(*) as count, sum(balance)::bigint as balance
             from (select invoice.currency, invoice.balance,
                          case when days <= 0 then 'NotYetDue' when days <= 30 then '0-30' when days <= 60 then '31-60'
                               when days <= 90 then '61-90' else '90+' end as age,
                          width_bucket(days, array[1, 31, 61, 91]) as rank
                   from read.invoice invoice, lateral (select (",
        );
        query.push_bind(now).push(
            "::timestamptz at time zone invoice.time_zone)::date - invoice.due_on as days) late
                   where invoice.phase = 'Published' and invoice.balance > 0",
        );
        self.restrict(&mut query);
        query.push(") owed group by currency, age, rank order by currency, rank");
        query
    }

    fn this_month(self, now: DateTime<Utc>) -> Query {
        // Money is recorded when or after it is received, so what counts this month is in the last 33 days of the log:
        // a month and the widest difference between zones. The index leaves the rest alone.
        let mut query = select(
            "select currency, coalesce(sum(amount), 0)::bigint as collected,
                    coalesce(sum(amount) filter (where amount > 0), 0)::bigint as received,
                    coalesce(-sum(amount) filter (where amount < 0), 0)::bigint as reversed,
                    coalesce(sum(fee), 0)::bigint as fees,
                    coalesce(sum(processing_fee), 0)::bigint as processing_fees
             from (select movement.currency, movement.amount,
                          case when movement.kind = 'Applied' then payment.fee end as fee,
                          case when movement.kind = 'Applied' and payment.settled_currency = movement.currency
                               then payment.processor_fee end as processing_fee
                   from read.movement movement
                   join read.invoice invoice on invoice.invoice_id = movement.invoice_id
                   left join read.payment payment on payment.payment_id = movement.payment_id
                   where date_trunc('month', coalesce(movement.received_on,
                             (movement.at at time zone invoice.time_zone)::date)::timestamp)
                         = date_trunc('month', ",
        );
        query
            .push_bind(now)
            .push("::timestamptz at time zone invoice.time_zone) and movement.at >= ")
            .push_bind(now - TimeDelta::days(33));
        self.restrict(&mut query);
        query.push(") moved group by currency order by currency");
        query
    }

    fn payouts(self, now: DateTime<Utc>) -> Query {
        let mut query = select(
            "select payout.currency, payout.status, count(*) as count, sum(payout.amount)::bigint as amount
             from read.payout payout
             where date_trunc('month', payout.arrives_on::timestamp) = date_trunc('month', ",
        );
        query.push_bind(now).push("::timestamptz at time zone 'UTC')");
        payout::within_account(&mut query, self.visibility);
        payout::within_account(&mut query, Visibility { property: self.property, resident: None });
        query.push(" group by payout.currency, payout.status order by payout.currency, payout.status");
        query
    }

    fn unresolved(self) -> Query {
        let mut query = select(
            "select (select count(*) from read.payment payment
                     join read.invoice invoice on invoice.invoice_id = payment.invoice_id
                     where payment.unresolved",
        );
        self.restrict(&mut query);
        query.push(
            ") as payments, (select count(*) from read.message message
             left join read.invoice invoice on invoice.invoice_id = message.invoice_id
             where message.status = 'Unresolved'",
        );
        within(
            &mut query,
            "coalesce(message.property_id, invoice.property_id)",
            "message.resident_id",
            self.visibility,
        );
        and(&mut query, "coalesce(message.property_id, invoice.property_id) = ", self.property);
        query.push(") as messages");
        query
    }
}
