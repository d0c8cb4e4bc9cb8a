//! Balance transactions, payouts and disputes, as the ledger is compared with them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use miniserde::Deserialize;
use processes::ports::{
    BalanceItem, BalanceRange, DisputeSnapshot, DisputeStatus, Outcome, Page, PayoutSnapshot, PayoutStatus, StripeBooks,
};
use serde_json::{Value, json};
use stripe_client_core::{CustomizableStripeRequest, RequestBuilder, StripeMethod};
use stripe_shared::{BalanceTransaction, Charge, DisputeStatus as Theirs, PaymentIntent, Payout};
use stripe_types::{Currency, Expandable, List, Timestamp};

use super::{StripeGateway, check_ids, methods::map, snapshot::time};

/// Objects per page, Stripe's maximum.
const PAGE: u8 = 100;

/// A dispute without its evidence: what the holder wrote is none of our business and must not spoil the reading.
#[derive(Deserialize)]
struct Dispute {
    id: String,
    amount: i64,
    balance_transactions: Vec<BalanceTransaction>,
    charge: Expandable<Charge>,
    created: Timestamp,
    currency: Currency,
    payment_intent: Option<Expandable<PaymentIntent>>,
    reason: String,
    status: Theirs,
}

pub(super) fn item(moved: BalanceTransaction, payout: Option<&str>) -> BalanceItem {
    BalanceItem {
        id: moved.id.to_string(),
        kind: moved.type_.as_str().to_owned(),
        amount: moved.amount,
        fee: moved.fee,
        net: moved.net,
        currency: moved.currency.to_string().to_ascii_uppercase(),
        source: moved.source.map(|source| source.id().to_string()),
        payout: payout.map(str::to_owned),
        created: time(moved.created),
        available_on: time(moved.available_on),
    }
}

fn payout(payout: Payout) -> PayoutSnapshot {
    PayoutSnapshot {
        id: payout.id.to_string(),
        amount: payout.amount,
        currency: payout.currency.to_string().to_ascii_uppercase(),
        status: match payout.status.as_str() {
            "pending" => PayoutStatus::Pending,
            "in_transit" => PayoutStatus::InTransit,
            "paid" => PayoutStatus::Paid,
            "failed" => PayoutStatus::Failed,
            "canceled" => PayoutStatus::Canceled,
            _ => PayoutStatus::Unrecognized,
        },
        arrival: time(payout.arrival_date),
        failure: payout.failure_code,
        automatic: payout.automatic,
        created: time(payout.created),
    }
}

fn dispute(dispute: Dispute) -> DisputeSnapshot {
    DisputeSnapshot {
        id: dispute.id,
        charge: dispute.charge.id().to_string(),
        intent: dispute.payment_intent.map(|intent| intent.id().to_string()),
        amount: dispute.amount,
        currency: dispute.currency.to_string().to_ascii_uppercase(),
        reason: dispute.reason,
        status: match dispute.status {
            Theirs::WarningNeedsResponse | Theirs::WarningUnderReview => DisputeStatus::Inquiry,
            Theirs::WarningClosed => DisputeStatus::InquiryClosed,
            Theirs::NeedsResponse => DisputeStatus::NeedsResponse,
            Theirs::UnderReview => DisputeStatus::UnderReview,
            Theirs::Won => DisputeStatus::Won,
            Theirs::Lost => DisputeStatus::Lost,
            Theirs::Prevented => DisputeStatus::Prevented,
            // Stripe's enum is open: a later version may add to it.
            _ => DisputeStatus::Unrecognized,
        },
        movements: dispute.balance_transactions.into_iter().map(|moved| item(moved, None)).collect(),
        created: time(dispute.created),
    }
}

fn created(from: DateTime<Utc>, to: DateTime<Utc>) -> Value {
    json!({"gte": from.timestamp(), "lt": to.timestamp()})
}

fn listing<T>(path: &str, mut query: Value, cursor: Option<&str>) -> CustomizableStripeRequest<List<T>> {
    query["limit"] = json!(PAGE);
    if let Some(cursor) = cursor {
        query["starting_after"] = json!(cursor);
    }
    RequestBuilder::new(StripeMethod::Get, path).query(&query).customize()
}

/// The next page begins after the last object, if Stripe says that there is one.
fn page<T, U>(list: List<T>, of: impl Fn(T) -> U, id: impl Fn(&U) -> &str) -> Page<U> {
    let more = list.has_more;
    let items: Vec<U> = list.data.into_iter().map(of).collect();
    let next = items.last().map(|last| id(last).to_owned()).filter(|_| more);
    Page { items, next }
}

#[async_trait]
impl StripeBooks for StripeGateway {
    async fn balance_transactions(
        &self,
        account: &str,
        range: &BalanceRange,
        cursor: Option<&str>,
    ) -> Outcome<Page<BalanceItem>> {
        let (query, with) = match range {
            BalanceRange::Created { from, to } => (json!({"created": created(*from, *to)}), None),
            BalanceRange::Payout(payout) => (json!({"payout": payout}), Some(payout.as_str())),
        };
        if let Err(refused) = check_ids([account].into_iter().chain(with).chain(cursor)) {
            return Outcome::Refused(refused);
        }
        let request = listing::<BalanceTransaction>("/balance_transactions", query, cursor);
        map(self.read(account, request).await, |list| page(list, |moved| item(moved, with), |item| &item.id))
    }

    async fn payouts(
        &self,
        account: &str,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        cursor: Option<&str>,
    ) -> Outcome<Page<PayoutSnapshot>> {
        if let Err(refused) = check_ids([account].into_iter().chain(cursor)) {
            return Outcome::Refused(refused);
        }
        let request = listing::<Payout>("/payouts", json!({"created": created(from, to)}), cursor);
        map(self.read(account, request).await, |list| page(list, payout, |payout| &payout.id))
    }

    async fn payout(&self, account: &str, id: &str) -> Outcome<PayoutSnapshot> {
        if let Err(refused) = check_ids([account, id]) {
            return Outcome::Refused(refused);
        }
        let request = RequestBuilder::new(StripeMethod::Get, format!("/payouts/{id}")).customize::<Payout>();
        map(self.read(account, request).await, payout)
    }

    async fn dispute(&self, account: &str, id: &str) -> Outcome<DisputeSnapshot> {
        if let Err(refused) = check_ids([account, id]) {
            return Outcome::Refused(refused);
        }
        let request = RequestBuilder::new(StripeMethod::Get, format!("/disputes/{id}")).customize::<Dispute>();
        map(self.read(account, request).await, dispute)
    }
}
