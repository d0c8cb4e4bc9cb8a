//! Stripe with accounts, PaymentIntents and refunds, each made once per key.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use events::payment::{CardSummary, FrozenIntent};
use processes::ports::{
    AccountSnapshot, Decline, IntentSnapshot, IntentStatus, Outcome, PaymentTags, RefundRequest, RefundSnapshot,
    RefundStatus, Stripe,
};
use uuid::Uuid;

use super::{Script, lock, refused};

#[derive(Debug, Default)]
struct Books {
    /// Key to the body that it came with and what was answered.
    keys: HashMap<String, (String, Result<String, String>)>,
    accounts: BTreeMap<String, (Uuid, AccountSnapshot)>,
    intents: BTreeMap<String, (String, IntentSnapshot)>,
    refunds: BTreeMap<String, (String, RefundSnapshot)>,
}

impl Books {
    /// Does something once per key, and gives the first answer again; another body is refused.
    fn once(
        &mut self,
        key: &str,
        body: String,
        act: impl FnOnce(&mut Self) -> Result<String, String>,
    ) -> Result<String, String> {
        if let Some((known, answer)) = self.keys.get(key) {
            return if *known == body { answer.clone() } else { Err("idempotency_error".to_owned()) };
        }
        let answer = act(self);
        self.keys.insert(key.to_owned(), (body, answer.clone()));
        answer
    }
}

#[derive(Debug, Default)]
pub struct FakeStripe {
    pub script: Script,
    books: Mutex<Books>,
}

impl FakeStripe {
    /// Every PaymentIntent of a payment.
    pub fn intents(&self, payment: Uuid) -> Vec<IntentSnapshot> {
        let books = lock(&self.books);
        let intents = books.intents.values().map(|(_, intent)| intent.clone());
        intents.filter(|intent| intent.payment == Some(payment)).collect()
    }

    pub fn refunds(&self, refund: Uuid) -> usize {
        lock(&self.books).refunds.values().filter(|(_, seen)| seen.refund == Some(refund)).count()
    }

    pub fn accounts(&self, ours: Uuid) -> usize {
        lock(&self.books).accounts.values().filter(|(id, _)| *id == ours).count()
    }

    /// Everything that was made, to be compared.
    pub fn counts(&self) -> (usize, usize, usize) {
        let books = lock(&self.books);
        (books.accounts.len(), books.intents.len(), books.refunds.len())
    }

    pub fn change(&self, intent: &str, change: impl FnOnce(&mut IntentSnapshot)) {
        if let Some((_, intent)) = lock(&self.books).intents.get_mut(intent) {
            change(intent);
        }
    }

    pub fn change_refunds(&self, status: RefundStatus) {
        for (_, refund) in lock(&self.books).refunds.values_mut() {
            refund.status = status;
        }
    }

    /// The resident completes Stripe's form.
    pub fn pay(&self, intent: &str) {
        self.change(intent, |intent| {
            intent.status = IntentStatus::Succeeded;
            intent.amount_received = intent.amount;
            intent.charge = Some(format!("ch_{}", intent.id));
            intent.card = Some(CardSummary {
                brand: "visa".to_owned(),
                last4: "4242".to_owned(),
                exp_month: 12,
                exp_year: 2030,
                funding: "credit".to_owned(),
            });
        });
    }

    pub fn decline(&self, intent: &str) {
        self.change(intent, |intent| {
            intent.status = IntentStatus::RequiresPaymentMethod;
            intent.charge = Some("ch_declined".to_owned());
            intent.decline = Some(Decline { code: "card_declined".to_owned(), decline_code: None, advice: None });
        });
    }

    /// As after 24 hours.
    pub fn forget_keys(&self) {
        lock(&self.books).keys.clear();
    }
}

fn outcome<T: Clone>(answer: Result<T, String>) -> Outcome<T> {
    match answer {
        Ok(done) => Outcome::Done(done),
        Err(code) => refused(&code),
    }
}

#[async_trait]
impl Stripe for FakeStripe {
    async fn create_account(&self, key: &str, name: &str, country: &str, ours: Uuid) -> Outcome<AccountSnapshot> {
        let act = || {
            let mut books = lock(&self.books);
            let answer = books.once(key, format!("{name}/{country}/{ours}"), |books| {
                let id = format!("acct_{}", Uuid::now_v7().simple());
                let snapshot = AccountSnapshot {
                    id: id.clone(),
                    charges_enabled: true,
                    payouts_enabled: true,
                    details_submitted: true,
                    disabled_reason: None,
                    requirements_due: false,
                };
                books.accounts.insert(id.clone(), (ours, snapshot));
                Ok(id)
            });
            outcome(answer.map(|id| books.accounts[&id].1.clone()))
        };
        self.script.call("create_account", act).await
    }

    async fn account(&self, account: &str) -> Outcome<AccountSnapshot> {
        let act = || {
            let books = lock(&self.books);
            outcome(books.accounts.get(account).map(|(_, seen)| seen.clone()).ok_or("account_invalid".to_owned()))
        };
        self.script.call("account", act).await
    }

    async fn onboarding_link(&self, account: &str, _: &str, _: &str) -> Outcome<String> {
        Outcome::Done(format!("https://stripe.example.com/{account}"))
    }

    async fn create_payment_intent(&self, request: &FrozenIntent, tags: &PaymentTags) -> Outcome<IntentSnapshot> {
        let act = || {
            let mut books = lock(&self.books);
            let answer = books.once(&request.idempotency_key, format!("{request:?}{tags:?}"), |books| {
                let id = format!("pi_{}", Uuid::now_v7().simple());
                let intent = IntentSnapshot {
                    id: id.clone(),
                    client_secret: Some(format!("{id}_secret")),
                    status: IntentStatus::RequiresPaymentMethod,
                    amount: request.amount,
                    amount_received: 0,
                    currency: request.currency.to_uppercase(),
                    charge: None,
                    card: None,
                    decline: None,
                    payment: Some(tags.payment),
                    created: Utc::now(),
                };
                books.intents.insert(id.clone(), (request.account.clone(), intent));
                Ok(id)
            });
            outcome(answer.map(|id| books.intents[&id].1.clone()))
        };
        self.script.call("create_payment_intent", act).await
    }

    async fn payment_intent(&self, account: &str, intent: &str) -> Outcome<IntentSnapshot> {
        let act = || {
            let books = lock(&self.books);
            let found = books.intents.get(intent).filter(|(owner, _)| owner == account);
            outcome(found.map(|(_, intent)| intent.clone()).ok_or("resource_missing".to_owned()))
        };
        self.script.call("payment_intent", act).await
    }

    async fn find_payment_intent(
        &self,
        account: &str,
        payment: Uuid,
        _: DateTime<Utc>,
    ) -> Outcome<Option<IntentSnapshot>> {
        let act = || {
            let books = lock(&self.books);
            let mut owned = books.intents.values().filter(|(owner, _)| owner == account).map(|(_, intent)| intent);
            Outcome::Done(owned.find(|intent| intent.payment == Some(payment)).cloned())
        };
        self.script.call("find_payment_intent", act).await
    }

    async fn cancel_payment_intent(&self, account: &str, intent: &str, key: &str) -> Outcome<IntentSnapshot> {
        let act = || {
            let mut books = lock(&self.books);
            let answer = books.once(key, format!("{account}/{intent}"), |books| {
                let (_, found) = books.intents.get_mut(intent).ok_or("resource_missing".to_owned())?;
                match found.status {
                    IntentStatus::Processing | IntentStatus::Succeeded | IntentStatus::Canceled => {
                        Err("payment_intent_unexpected_state".to_owned())
                    }
                    _ => {
                        found.status = IntentStatus::Canceled;
                        Ok(intent.to_owned())
                    }
                }
            });
            outcome(answer.map(|id| books.intents[&id].1.clone()))
        };
        self.script.call("cancel_payment_intent", act).await
    }

    async fn create_refund(&self, request: &RefundRequest) -> Outcome<RefundSnapshot> {
        let act = || {
            let mut books = lock(&self.books);
            let answer = books.once(&request.idempotency_key, format!("{request:?}"), |books| {
                let id = format!("re_{}", Uuid::now_v7().simple());
                let refund = RefundSnapshot {
                    id: id.clone(),
                    status: RefundStatus::Succeeded,
                    amount: request.amount,
                    refund: Some(request.refund),
                    failure: None,
                };
                books.refunds.insert(id.clone(), (request.intent.clone(), refund));
                Ok(id)
            });
            outcome(answer.map(|id| books.refunds[&id].1.clone()))
        };
        self.script.call("create_refund", act).await
    }

    async fn find_refund(&self, _: &str, intent: &str, refund: Uuid) -> Outcome<Option<RefundSnapshot>> {
        let act = || {
            let books = lock(&self.books);
            let mut of = books.refunds.values().filter(|(of, _)| of == intent).map(|(_, refund)| refund);
            Outcome::Done(of.find(|seen| seen.refund == Some(refund)).cloned())
        };
        self.script.call("find_refund", act).await
    }

    async fn refund(&self, _: &str, refund: &str) -> Outcome<RefundSnapshot> {
        let act = || {
            let books = lock(&self.books);
            outcome(books.refunds.get(refund).map(|(_, seen)| seen.clone()).ok_or("resource_missing".to_owned()))
        };
        self.script.call("refund", act).await
    }
}
