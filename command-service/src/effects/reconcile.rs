//! Each night the books of every connected account are compared with Stripe's; a difference is recorded, never hidden.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use domain::{Payment, StripeAccount, stripe_account::RecordReconciliation};
use events::{
    Currency, Money, OrganizationId, PaymentEvent, Recorded, StripeAccountEvent, StripeAccountId,
    stripe_account::{Difference, DifferenceKind},
};
use processes::ports::{BalanceItem, BalanceRange, Outcome, PayoutStatus};

use super::{Effects, backoff, unknown};
use crate::{
    Fault,
    outbox::{Done, Task},
};

/// The hour (UTC) at which the day before is compared: by then its webhooks have come.
const HOUR: u32 = 3;
/// How far apart Stripe's time of a movement and our recording of it may be: a bank debit is on the balance days before it succeeds, a
/// refund before it arrives.
const SLOW: TimeDelta = TimeDelta::days(14);
/// How far back the first comparison looks.
const FIRST: TimeDelta = TimeDelta::days(7);

/// Why a comparison was not made.
enum Stop {
    Fault(Fault),
    Done(Done),
}

impl<E: Into<Fault>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// Compares what has passed since the last time, then waits for the next night.
pub async fn account(effects: &Effects, task: &Task, id: StripeAccountId) -> Result<Done, Fault> {
    let account: StripeAccount = effects.engine.state(task.organization, id.0).await?;
    let now = effects.engine.clock().now();
    let until = now.date_naive().and_time(NaiveTime::MIN).and_utc();
    let from = account.reconciled_until().unwrap_or(until - FIRST);
    let tonight = until + TimeDelta::hours(i64::from(HOUR));
    if now < tonight {
        return Ok(Done::At { when: tonight, why: "compared at night" });
    }
    let next = Done::At { when: tonight.checked_add_days(Days::new(1)).unwrap_or(tonight), why: "compared each night" };
    // Also after a disconnect: until then, money moved.
    let Some(external) = account.last_external().filter(|_| from < until) else { return Ok(next) };
    match compare(effects, task, id, external, from, until).await {
        Ok((compared, differences)) => {
            for difference in &differences {
                tracing::error!(account = external, ?difference, "the books and stripe's differ");
            }
            let command = RecordReconciliation { stripe_account_id: id, from, until, compared, differences };
            effects.engine.execute(command, &effects.ask(task)).await?;
            Ok(next)
        }
        Err(Stop::Done(done)) => Ok(done),
        Err(Stop::Fault(fault)) => Err(fault),
    }
}

async fn compare(
    effects: &Effects,
    task: &Task,
    id: StripeAccountId,
    external: &str,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<(u32, Vec<Difference>), Stop> {
    effects.calling(task).await?;
    let booked = booked(effects, task.organization, id, from - SLOW).await?;
    let range = BalanceRange::Created { from: from - SLOW, to: until };
    let seen = movements(effects, task, external, &range).await?;
    // A bank debit that failed took back what it had announced; neither is in the books.
    let taken_back: BTreeSet<&str> = seen
        .iter()
        .filter(|item| item.kind == "payment_failure_refund")
        .filter_map(|item| item.source.as_deref())
        .collect();
    let counts = |item: &&BalanceItem| !item.source.as_deref().is_some_and(|source| taken_back.contains(source));
    let mut differences = Vec::new();
    let mut compared = 0;
    for item in seen.iter().filter(counts).filter(|item| (from..until).contains(&judged_at(item))) {
        compared += 1;
        differences.extend(difference(item, &booked));
    }
    let known: BTreeSet<&str> = seen.iter().flat_map(references).collect();
    let expected = booked.iter().filter(|(_, entry)| entry.expected && (from..until).contains(&entry.at));
    for (reference, entry) in expected.filter(|(reference, _)| !known.contains(reference.as_str())) {
        let (kind, amount) = (DifferenceKind::NotAtStripe, Some(entry.amount));
        differences.push(Difference { kind, reference: reference.clone(), booked: amount, seen: None });
    }
    differences.extend(payouts(effects, task, external, from, until).await?);
    Ok((compared, differences))
}

/// When a movement should be in the books. A bank debit is announced days before it succeeds or fails.
fn judged_at(item: &BalanceItem) -> DateTime<Utc> {
    if item.kind == "payment" { item.available_on } else { item.created }
}

/// A movement as the books have it.
struct Booked {
    amount: Money,
    fee: Option<Money>,
    at: DateTime<Utc>,
    /// Whether its movement belongs to the time at which it was booked. A payout's is days older than its last news.
    expected: bool,
}

/// The books' movements of an account by Stripe's id of what moved: a balance transaction, refund, dispute or payout.
async fn booked(
    effects: &Effects,
    organization: OrganizationId,
    id: StripeAccountId,
    since: DateTime<Utc>,
) -> Result<BTreeMap<String, Booked>, Fault> {
    let mut found = BTreeMap::new();
    for event in effects.engine.store().money(organization, since).await? {
        if let Some((reference, amount, fee)) = movement(effects, &event, id).await? {
            let expected = event.stream_id != id.0;
            found.insert(reference, Booked { amount, fee, at: event.recorded_at, expected });
        }
    }
    Ok(found)
}

async fn movement(
    effects: &Effects,
    event: &Recorded,
    id: StripeAccountId,
) -> Result<Option<(String, Money, Option<Money>)>, Fault> {
    let negative = |money: Money| Money::zero(money.currency()).checked_sub(money).unwrap_or(money);
    if let Ok(Some(StripeAccountEvent::PayoutRecorded { payout, amount, .. })) = event.event::<StripeAccountEvent>() {
        return Ok((event.stream_id == id.0).then(|| (payout, negative(amount), None)));
    }
    Ok(match event.event::<PaymentEvent>() {
        Ok(Some(PaymentEvent::PaymentSettled { stripe_account_id, balance_transaction, gross, fee, .. }))
            if stripe_account_id == id =>
        {
            Some((balance_transaction, gross, Some(fee)))
        }
        Ok(Some(PaymentEvent::RefundSucceeded { amount, refund, .. })) => {
            let payment: Payment = effects.engine.state(event.organization, event.stream_id).await?;
            let ours = payment.quote.is_some_and(|quote| quote.account == id);
            ours.then(|| (refund, negative(amount), None))
        }
        Ok(Some(PaymentEvent::PaymentDisputed { dispute, stripe_account_id, amount, .. }))
            if stripe_account_id == id =>
        {
            Some((dispute, negative(amount), None))
        }
        _ => None,
    })
}

/// By which ids the books may know a movement.
fn references(item: &BalanceItem) -> impl Iterator<Item = &str> {
    std::iter::once(item.id.as_str()).chain(item.source.as_deref())
}

fn difference(item: &BalanceItem, booked: &BTreeMap<String, Booked>) -> Option<Difference> {
    let seen = item.currency.parse::<Currency>().ok().and_then(|currency| Money::try_new(item.amount, currency).ok());
    let reference = item.source.clone().unwrap_or_else(|| item.id.clone());
    let Some(entry) = references(item).find_map(|reference| booked.get(reference)) else {
        return Some(Difference { kind: DifferenceKind::NotBooked, reference, booked: None, seen });
    };
    // A won dispute, a refund that failed, a payout that came back: the same thing with the other sign.
    let same = seen.is_some_and(|seen| {
        seen.currency() == entry.amount.currency() && seen.amount().abs() == entry.amount.amount().abs()
    });
    if !same {
        return Some(Difference { kind: DifferenceKind::Amount, reference, booked: Some(entry.amount), seen });
    }
    let fee = entry.fee?;
    (fee.amount() != item.fee).then(|| Difference {
        kind: DifferenceKind::Fee,
        reference,
        booked: Some(fee),
        seen: Money::try_new(item.fee, fee.currency()).ok(),
    })
}

async fn movements(
    effects: &Effects,
    task: &Task,
    external: &str,
    range: &BalanceRange,
) -> Result<Vec<BalanceItem>, Stop> {
    let mut items = Vec::new();
    let mut cursor = None;
    loop {
        let page = effects.providers.stripe.balance_transactions(external, range, cursor.as_deref()).await;
        let page = answered(task, page)?;
        items.extend(page.items);
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(items),
        }
    }
}

/// Each payout is the sum of what left with it.
async fn payouts(
    effects: &Effects,
    task: &Task,
    external: &str,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<Difference>, Stop> {
    let mut differences = Vec::new();
    let mut cursor = None;
    loop {
        let page = effects.providers.stripe.payouts(external, from, until, cursor.as_deref()).await;
        let page = answered(task, page)?;
        for payout in page.items {
            if !payout.automatic || payout.status != PayoutStatus::Paid {
                continue;
            }
            let items = movements(effects, task, external, &BalanceRange::Payout(payout.id.clone())).await?;
            let sum: i64 =
                items.iter().filter(|item| item.source.as_deref() != Some(&payout.id)).map(|item| item.net).sum();
            if sum != payout.amount {
                let money = |amount| {
                    payout.currency.parse::<Currency>().ok().and_then(|currency| Money::try_new(amount, currency).ok())
                };
                let (kind, reference) = (DifferenceKind::Payout, payout.id.clone());
                differences.push(Difference { kind, reference, booked: money(sum), seen: money(payout.amount) });
            }
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(differences),
        }
    }
}

fn answered<T>(task: &Task, outcome: Outcome<T>) -> Result<T, Stop> {
    Err(Stop::Done(match outcome {
        Outcome::Done(answer) => return Ok(answer),
        // Disconnected: its owner alone can see its books now.
        Outcome::Refused(refused) => {
            let why = format!("stripe does not show the account's books: {}", refused.why);
            Done::Later { after: std::time::Duration::from_secs(3600), why }
        }
        Outcome::Retry { after, why } => Done::Again { after: after.max(backoff(task.attempts)), why },
        Outcome::Unknown { cause, why } => Done::Again { after: backoff(task.attempts), why: unknown(cause, &why) },
    }))
}
