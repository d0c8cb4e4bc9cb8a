//! Stripe with accounts, PaymentIntents and refunds, each made once per key.

mod books;
mod methods;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Mutex, OnceLock},
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use event_store::BusinessClock;
use events::payment::{BankSummary, CardSummary, FrozenIntent, PaymentMethodKind};
use processes::ports::{
    AccountSnapshot, BalanceItem, Decline, DisputeSnapshot, IntentMethod, IntentSnapshot, IntentStatus,
    MandateSnapshot, MethodSnapshot, Outcome, PaymentTags, PayoutSnapshot, RefundRequest, RefundSnapshot, RefundStatus,
    SetupSnapshot, Stripe,
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
    /// Customer to account.
    customers: BTreeMap<String, String>,
    setups: BTreeMap<String, (String, SetupSnapshot)>,
    methods: BTreeMap<String, (String, MethodSnapshot)>,
    mandates: BTreeMap<String, MandateSnapshot>,
    disputes: BTreeMap<String, DisputeSnapshot>,
    movements: BTreeMap<String, (String, BalanceItem)>,
    payouts: BTreeMap<String, (String, PayoutSnapshot)>,
    detached: BTreeSet<String>,
    /// Which kept method an intent was charged with.
    charged: BTreeMap<String, String>,
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

/// How the next charges of kept methods go; without a word they succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Succeeds,
    /// Code, decline code and advice.
    Declines(&'static str, Option<&'static str>, Option<&'static str>),
    NeedsAuthentication,
    /// As bank debits do, for days.
    Processes,
}

pub const SOFT: Manner = Manner::Declines("card_declined", Some("insufficient_funds"), Some("try_again_later"));
pub const HARD: Manner = Manner::Declines("card_declined", Some("stolen_card"), Some("do_not_try_again"));

#[derive(Debug, Default)]
pub struct FakeStripe {
    pub script: Script,
    manners: Mutex<VecDeque<Manner>>,
    clock: OnceLock<BusinessClock>,
    books: Mutex<Books>,
}

/// What Stripe keeps of a charge: 2.9 % and 0.30.
pub const fn kept(amount: i64) -> i64 {
    amount * 29 / 1000 + 30
}

fn card() -> CardSummary {
    CardSummary {
        brand: "visa".to_owned(),
        last4: "4242".to_owned(),
        exp_month: 12,
        exp_year: 2030,
        funding: "credit".to_owned(),
    }
}

fn bank() -> BankSummary {
    BankSummary {
        bank_name: Some("First Example Bank".to_owned()),
        last4: "6789".to_owned(),
        account_type: Some("checking".to_owned()),
    }
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

    /// Stripe's id of a refund.
    pub fn refund_of(&self, refund: Uuid) -> String {
        let books = lock(&self.books);
        let mut refunds = books.refunds.values().map(|(_, seen)| seen);
        refunds.find(|seen| seen.refund == Some(refund)).expect("a refund").id.clone()
    }

    pub fn accounts(&self, ours: Uuid) -> usize {
        lock(&self.books).accounts.values().filter(|(id, _)| *id == ours).count()
    }

    /// Everything that was made, to be compared.
    pub fn counts(&self) -> [usize; 6] {
        let books = lock(&self.books);
        let (accounts, intents, refunds) = (books.accounts.len(), books.intents.len(), books.refunds.len());
        [accounts, intents, refunds, books.customers.len(), books.setups.len(), books.detached.len()]
    }

    /// From now on it lives by this clock.
    pub fn follow(&self, clock: BusinessClock) {
        let _ = self.clock.set(clock);
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.get().map_or_else(Utc::now, BusinessClock::now)
    }

    /// How the next charge of a kept method goes.
    pub fn next_charge(&self, manner: Manner) {
        lock(&self.manners).push_back(manner);
    }

    /// With which kept methods a payment was charged.
    pub fn charged(&self, payment: Uuid) -> Vec<String> {
        let intents = self.intents(payment);
        let books = lock(&self.books);
        intents.iter().filter_map(|intent| books.charged.get(&intent.id).cloned()).collect()
    }

    pub fn change(&self, intent: &str, change: impl FnOnce(&mut IntentSnapshot)) {
        if let Some((_, intent)) = lock(&self.books).intents.get_mut(intent) {
            change(intent);
        }
    }

    /// Somebody gives money back in Stripe's dashboard.
    pub fn refund_in_the_dashboard(&self, intent: &str, amount: i64) -> String {
        let id = format!("re_{}", Uuid::now_v7().simple());
        let status = RefundStatus::Succeeded;
        let refund = RefundSnapshot { id: id.clone(), status, amount, refund: None, failure: None };
        lock(&self.books).refunds.insert(id.clone(), (intent.to_owned(), refund));
        id
    }

    /// It was ours: its metadata says so.
    pub fn name_refund(&self, external: &str, ours: Uuid) {
        if let Some((_, refund)) = lock(&self.books).refunds.get_mut(external) {
            refund.refund = Some(ours);
        }
    }

    pub fn change_refunds(&self, status: RefundStatus) {
        for (_, refund) in lock(&self.books).refunds.values_mut() {
            refund.status = status;
        }
    }

    /// The money came in: the resident completed Stripe's form, or the bank paid.
    pub fn pay(&self, intent: &str) {
        let now = self.now();
        let mut books = lock(&self.books);
        let Some((account, found)) = books.intents.get_mut(intent) else { return };
        succeed(found, now);
        let booked = found.booked.clone().map(|item| (item.id.clone(), (account.clone(), item)));
        books.movements.extend(booked);
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

fn succeed(intent: &mut IntentSnapshot, now: DateTime<Utc>) {
    intent.status = IntentStatus::Succeeded;
    intent.amount_received = intent.amount;
    intent.decline = None;
    let charge = format!("ch_{}", intent.id);
    match intent.kind {
        Some(PaymentMethodKind::BankDebit) => intent.bank = Some(bank()),
        Some(PaymentMethodKind::Card) | None => intent.card = Some(card()),
    }
    let fee = kept(intent.amount);
    intent.booked = Some(BalanceItem {
        id: format!("txn_{}", intent.id),
        kind: "charge".to_owned(),
        amount: intent.amount,
        fee,
        net: intent.amount - fee,
        currency: intent.currency.clone(),
        source: Some(charge.clone()),
        payout: None,
        created: now,
        available_on: now + TimeDelta::days(2),
    });
    intent.charge = Some(charge);
}

impl FakeStripe {
    /// The bank's answer to a charge of a kept method.
    fn charge(&self, intent: &mut IntentSnapshot, now: DateTime<Utc>) {
        match lock(&self.manners).pop_front().unwrap_or(Manner::Succeeds) {
            Manner::Succeeds => succeed(intent, now),
            Manner::Processes => {
                intent.status = IntentStatus::Processing;
                intent.bank = Some(bank());
            }
            Manner::NeedsAuthentication => {
                intent.status = IntentStatus::RequiresPaymentMethod;
                intent.charge = Some(format!("ch_{}", intent.id));
                intent.decline =
                    Some(Decline { code: "authentication_required".to_owned(), decline_code: None, advice: None });
            }
            Manner::Declines(code, decline_code, advice) => {
                intent.status = IntentStatus::RequiresPaymentMethod;
                intent.charge = Some(format!("ch_{}", intent.id));
                let (decline_code, advice) = (decline_code.map(str::to_owned), advice.map(str::to_owned));
                intent.decline = Some(Decline { code: code.to_owned(), decline_code, advice });
            }
        }
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

    async fn create_intent(
        &self,
        request: &FrozenIntent,
        with: &IntentMethod,
        tags: &PaymentTags,
    ) -> Outcome<IntentSnapshot> {
        let act = || {
            let now = self.now();
            let mut books = lock(&self.books);
            let answer = books.once(&request.idempotency_key, format!("{request:?}{with:?}{tags:?}"), |books| {
                let id = format!("pi_{}", Uuid::now_v7().simple());
                let mut intent = IntentSnapshot {
                    id: id.clone(),
                    client_secret: Some(format!("{id}_secret")),
                    status: IntentStatus::RequiresPaymentMethod,
                    amount: request.amount,
                    amount_received: 0,
                    currency: request.currency.to_uppercase(),
                    charge: None,
                    method: None,
                    kind: Some(with.kind()),
                    card: None,
                    bank: None,
                    decline: None,
                    failure: None,
                    booked: None,
                    payment: Some(tags.payment),
                    created: Utc::now(),
                };
                if let IntentMethod::OffSession { customer, method, .. } = with {
                    let known = books.methods.get(method).filter(|(account, _)| *account == request.account);
                    if known.is_none_or(|(_, known)| known.customer.as_ref() != Some(customer)) {
                        return Err("resource_missing".to_owned());
                    }
                    intent.method = Some(method.clone());
                    self.charge(&mut intent, now);
                    books.charged.insert(id.clone(), method.clone());
                }
                let booked = intent.booked.clone().map(|item| (item.id.clone(), (request.account.clone(), item)));
                books.movements.extend(booked);
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

    async fn find_customers_intent(
        &self,
        account: &str,
        _: &str,
        payment: Uuid,
        since: DateTime<Utc>,
    ) -> Outcome<Option<IntentSnapshot>> {
        self.find_payment_intent(account, payment, since).await
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

    async fn refunds(&self, _: &str, intent: &str) -> Outcome<Vec<RefundSnapshot>> {
        let act = || {
            let books = lock(&self.books);
            let of = books.refunds.values().filter(|(of, _)| of == intent);
            Outcome::Done(of.map(|(_, refund)| refund.clone()).collect())
        };
        self.script.call("refunds", act).await
    }

    async fn refund(&self, _: &str, refund: &str) -> Outcome<RefundSnapshot> {
        let act = || {
            let books = lock(&self.books);
            outcome(books.refunds.get(refund).map(|(_, seen)| seen.clone()).ok_or("resource_missing".to_owned()))
        };
        self.script.call("refund", act).await
    }
}
