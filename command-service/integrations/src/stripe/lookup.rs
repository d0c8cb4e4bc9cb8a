//! Finds what a lost answer may have left at Stripe: through complete lists, never through Search, which lags behind.

use chrono::{DateTime, Utc};
use events::payment::UnknownCause;
use processes::ports::{IntentSnapshot, IntentStatus, Outcome, RefundSnapshot};
use stripe_client_core::StripeRequest;
use stripe_core::{payment_intent::ListPaymentIntent, refund::ListRefund};
use stripe_types::{RangeBoundsTs, RangeQueryTs};
use uuid::Uuid;

use super::{StripeGateway, on, outcome::Effect, snapshot};

/// Objects per page, Stripe's maximum, and the pages after which something must be wrong.
const PAGE: i64 = 100;
const MOST_PAGES: usize = 500;

/// Stripe stamps objects with its own clock, so a look back begins a little earlier than asked.
const CLOCK_SLACK: i64 = 300;

impl StripeGateway {
    pub(super) async fn look_up_intent(
        &self,
        account: &str,
        customer: Option<&str>,
        payment: Uuid,
        since: DateTime<Utc>,
    ) -> Outcome<Option<IntentSnapshot>> {
        let created = RangeBoundsTs { gte: Some(since.timestamp() - CLOCK_SLACK), ..RangeBoundsTs::default() };
        let (mut found, mut cursor): (Option<IntentSnapshot>, Option<String>) = (None, None);
        for _ in 0..MOST_PAGES {
            let mut request = ListPaymentIntent::new().created(RangeQueryTs::Bounds(created)).limit(PAGE);
            if let Some(customer) = customer {
                request = request.customer(customer);
            }
            if let Some(cursor) = cursor.take() {
                request = request.starting_after(cursor);
            }
            let call = self.call();
            let page = on(request.customize(), account).send(&call).await;
            let page = match done(call.outcome(Effect::Read, page)) {
                Ok(page) => page,
                Err(other) => return other,
            };
            let last = page.data.last().map(|intent| intent.id.to_string());
            // Money that moved outweighs an attempt that did not, should both carry our id.
            found = page
                .data
                .into_iter()
                .map(snapshot::intent)
                .filter(|intent| intent.payment == Some(payment))
                .chain(found)
                .max_by_key(|intent| (weight(intent.status), intent.created));
            cursor = last.filter(|_| page.has_more);
            if cursor.is_none() {
                let Some(intent) = found else { return Outcome::Done(None) };
                // The list leaves charges out: expanded, one odd charge of a stranger would spoil the whole page.
                return match done(self.read_intent(account, &intent.id).await) {
                    Ok(intent) => Outcome::Done(Some(intent)),
                    Err(other) => other,
                };
            }
        }
        endless()
    }

    pub(super) async fn look_up_refund(
        &self,
        account: &str,
        intent: &str,
        refund: Uuid,
    ) -> Outcome<Option<RefundSnapshot>> {
        match done(self.list_refunds(account, intent).await) {
            Ok(refunds) => Outcome::Done(refunds.into_iter().find(|seen| seen.refund == Some(refund))),
            Err(other) => other,
        }
    }

    pub(super) async fn list_refunds(&self, account: &str, intent: &str) -> Outcome<Vec<RefundSnapshot>> {
        let (mut refunds, mut cursor): (Vec<RefundSnapshot>, Option<String>) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let mut request = ListRefund::new().payment_intent(intent).limit(PAGE);
            if let Some(cursor) = cursor.take() {
                request = request.starting_after(cursor);
            }
            let call = self.call();
            let page = on(request.customize(), account).send(&call).await;
            let page = match done(call.outcome(Effect::Read, page)) {
                Ok(page) => page,
                Err(other) => return other,
            };
            cursor = page.data.last().map(|refund| refund.id.to_string()).filter(|_| page.has_more);
            refunds.extend(page.data.into_iter().map(snapshot::refund));
            if cursor.is_none() {
                return Outcome::Done(refunds);
            }
        }
        endless()
    }
}

const fn weight(status: IntentStatus) -> u8 {
    match status {
        IntentStatus::Succeeded => 3,
        IntentStatus::Processing | IntentStatus::RequiresCapture => 2,
        IntentStatus::RequiresPaymentMethod
        | IntentStatus::RequiresConfirmation
        | IntentStatus::RequiresAction
        | IntentStatus::Unrecognized => 1,
        IntentStatus::Canceled => 0,
    }
}

fn done<T, U>(outcome: Outcome<T>) -> Result<T, Outcome<U>> {
    match outcome {
        Outcome::Done(value) => Ok(value),
        Outcome::Refused(refused) => Err(Outcome::Refused(refused)),
        Outcome::Retry { after, why } => Err(Outcome::Retry { after, why }),
        Outcome::Unknown { cause, why } => Err(Outcome::Unknown { cause, why }),
    }
}

fn endless<T>() -> Outcome<T> {
    Outcome::Unknown { cause: UnknownCause::Undecodable, why: "the list has no end".to_owned() }
}
