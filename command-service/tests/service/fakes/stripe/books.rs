//! Stripe's own books: what moved on an account's balance, what left to the bank, what payers' banks took back.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use processes::ports::{
    BalanceItem, BalanceRange, DisputeSnapshot, DisputeStatus, Outcome, Page, PayoutSnapshot, StripeBooks,
};

use super::{FakeStripe, lock, outcome};

/// How much is in one part of a list.
const PART: usize = 2;

impl FakeStripe {
    pub fn book(&self, account: &str, item: BalanceItem) {
        lock(&self.books).movements.insert(item.id.clone(), (account.to_owned(), item));
    }

    pub fn unbook(&self, movement: &str) {
        lock(&self.books).movements.remove(movement);
    }

    pub fn change_movement(&self, movement: &str, change: impl FnOnce(&mut BalanceItem)) {
        if let Some((_, item)) = lock(&self.books).movements.get_mut(movement) {
            change(item);
        }
    }

    pub fn pay_out(&self, account: &str, payout: PayoutSnapshot) {
        lock(&self.books).payouts.insert(payout.id.clone(), (account.to_owned(), payout));
    }

    /// The payer's bank takes the whole of a payment back.
    pub fn dispute_payment(&self, id: &str, intent: &str, reason: &str, status: DisputeStatus) {
        let mut books = lock(&self.books);
        let (_, paid) = &books.intents[intent];
        let snapshot = DisputeSnapshot {
            id: id.to_owned(),
            charge: paid.charge.clone().unwrap_or_default(),
            intent: Some(intent.to_owned()),
            amount: paid.amount,
            currency: paid.currency.clone(),
            reason: reason.to_owned(),
            status,
            movements: Vec::new(),
            created: Utc::now(),
        };
        books.disputes.insert(id.to_owned(), snapshot);
    }
}

/// A part of a list; the cursor is the place of the next.
fn part<T: Clone>(all: &[T], cursor: Option<&str>) -> Page<T> {
    let from = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let items: Vec<T> = all.iter().skip(from).take(PART).cloned().collect();
    let next = from + items.len();
    Page { items, next: (next < all.len()).then(|| next.to_string()) }
}

#[async_trait]
impl StripeBooks for FakeStripe {
    async fn balance_transactions(
        &self,
        account: &str,
        range: &BalanceRange,
        cursor: Option<&str>,
    ) -> Outcome<Page<BalanceItem>> {
        let act = || {
            let books = lock(&self.books);
            let of = books.movements.values().filter(|(owner, _)| owner == account).map(|(_, item)| item);
            let found: Vec<_> = match range {
                BalanceRange::Created { from, to } => {
                    of.filter(|item| (*from..*to).contains(&item.created)).cloned().collect()
                }
                BalanceRange::Payout(payout) => {
                    of.filter(|item| item.payout.as_ref() == Some(payout)).cloned().collect()
                }
            };
            Outcome::Done(part(&found, cursor))
        };
        self.script.call("balance_transactions", act).await
    }

    async fn payouts(
        &self,
        account: &str,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        cursor: Option<&str>,
    ) -> Outcome<Page<PayoutSnapshot>> {
        let act = || {
            let books = lock(&self.books);
            let of = books.payouts.values().filter(|(owner, _)| owner == account).map(|(_, payout)| payout);
            let found: Vec<_> = of.filter(|payout| (from..to).contains(&payout.created)).cloned().collect();
            Outcome::Done(part(&found, cursor))
        };
        self.script.call("payouts", act).await
    }

    async fn payout(&self, account: &str, payout: &str) -> Outcome<PayoutSnapshot> {
        let act = || {
            let books = lock(&self.books);
            let found = books.payouts.get(payout).filter(|(owner, _)| owner == account);
            outcome(found.map(|(_, payout)| payout.clone()).ok_or("resource_missing".to_owned()))
        };
        self.script.call("payout", act).await
    }

    async fn dispute(&self, _: &str, dispute: &str) -> Outcome<DisputeSnapshot> {
        let act = || outcome(lock(&self.books).disputes.get(dispute).cloned().ok_or("resource_missing".to_owned()));
        self.script.call("dispute", act).await
    }
}
