//! Random but valid histories: every entry balances, the whole balances, and the ledger agrees with what was done.

mod bills;
mod steps;
mod stripe;

use std::collections::{BTreeMap, HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use events::{Metadata, OrganizationId, Recorded, Role};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    accounts::{Entry, balances},
    books::{Books, keys},
};
use crate::{invoice::Invoices, model::ReadModel};

const CURRENCIES: [&str; 2] = ["USD", "JPY"];

fn id(kind: u128, number: usize) -> Uuid {
    Uuid::from_u128((kind << 64) | u128::try_from(number).expect("small"))
}

fn money(amount: i64, currency: &str) -> Value {
    json!({ "amount": amount, "currency": currency })
}

#[derive(Debug, Clone)]
struct Bill {
    property: usize,
    resident: usize,
    total: i64,
    balance: i64,
    published: bool,
    void: bool,
    written_off: i64,
    /// Payments that are on their way to it.
    claims: usize,
    by_hand: Vec<(Uuid, i64, bool)>,
}

#[derive(Debug, Clone)]
struct Charge {
    bill: usize,
    amount: i64,
    total: i64,
    settled: bool,
    /// Given back, or taken back for good or until a dispute is decided.
    gone: i64,
    /// Of the invoice's part.
    reversed: i64,
    dispute: Option<(String, i64, i64, bool)>,
}

/// What a process does some time later.
#[derive(Debug, Clone)]
enum Later {
    Apply(usize),
    Reverse { charge: usize, amount: i64, reason: Value },
    Reinstate { charge: usize, amount: i64, dispute: String },
    Undo { charge: usize, amount: i64, refund: Uuid },
    AddCredit { bill: usize, amount: i64, payment: Uuid },
    TakeCredit { bill: usize, amount: i64 },
}

#[derive(Debug)]
struct Life {
    books: Books,
    rows: HashMap<Uuid, crate::invoice::InvoiceRow>,
    entries: Vec<Entry>,
    versions: HashMap<Uuid, i64>,
    now: DateTime<Utc>,
    position: i64,
    bills: Vec<Bill>,
    charges: Vec<Charge>,
    /// By property and resident.
    credit: BTreeMap<(usize, usize), i64>,
    payouts: Vec<(i64, &'static str)>,
    later: VecDeque<Later>,
    /// What should be at Stripe, by currency.
    at_stripe: BTreeMap<&'static str, i64>,
    bank: i64,
    disputed: BTreeMap<&'static str, i64>,
}

impl Life {
    fn begin() -> Self {
        let mut life = Self {
            books: Books::default(),
            rows: HashMap::new(),
            entries: vec![],
            versions: HashMap::new(),
            now: "2026-01-01T05:00:00Z".parse().expect("an instant"),
            position: 0,
            bills: vec![],
            charges: vec![],
            credit: BTreeMap::new(),
            payouts: vec![],
            later: VecDeque::new(),
            at_stripe: BTreeMap::new(),
            bank: 0,
            disputed: BTreeMap::new(),
        };
        let rate = json!({ "basis_points": 340, "fixed": 30 });
        for (property, currency) in CURRENCIES.into_iter().enumerate() {
            life.tell("property", id(1, property), "PropertyAdded", json!({
                "name": "Maple Court", "time_zone": "America/New_York", "currency": currency,
                "address": { "street": "1 Main Street", "city": "Springfield", "region": "NY", "postal_code": "10001", "country": "US" },
                "contact": { "$erased": true }, "sender": "Maple Court",
                "fees": { "mode": "PassToResident", "card": rate, "bank_debit": rate },
            }));
            life.tell("property", id(1, property), "StripeAccountAssigned", json!({ "stripe_account_id": id(4, 0) }));
        }
        life
    }

    #[expect(clippy::needless_pass_by_value, reason = "a history reads better without references")]
    fn tell(&mut self, stream: &str, stream_id: Uuid, name: &str, body: Value) {
        self.position += 1;
        self.now += TimeDelta::hours(1);
        let version = self.versions.entry(stream_id).or_default();
        *version += 1;
        let event = Recorded {
            global_position: self.position,
            organization: OrganizationId(id(9, 0)),
            position: self.position,
            stream: stream.into(),
            stream_id,
            version: *version,
            event_type: name.into(),
            recorded_at: self.now,
            metadata: Metadata {
                organization: OrganizationId(id(9, 0)),
                actor: "operator".into(),
                role: Role::Operator,
                correlation: Uuid::nil(),
                causation: None,
                command: "Tell".into(),
                command_id: Uuid::nil(),
                client_address: None,
            },
            payload: json!({ name: body }),
        };
        let keys = keys(&event).expect("keys");
        let entries = self.books.post(&event, &keys).unwrap_or_else(|error| panic!("{error}: {event:?}"));
        for entry in &entries {
            assert!(balances(&entry.postings), "{entry:?}");
            assert!(entry.about.property.is_some() || stream == "stripe-account", "{entry:?}");
        }
        self.entries.extend(entries);
        for key in Invoices::keys(&event).expect("keys") {
            let row = Invoices::fold(self.rows.remove(&key), key, &event).expect("a fold").expect("a row");
            self.rows.insert(key, row);
        }
    }

    fn invoice(&mut self, bill: usize, name: &str, body: Value) {
        self.tell("invoice", id(2, bill), name, body);
    }

    fn payment(&mut self, charge: usize, name: &str, body: Value) {
        self.tell("payment", id(3, charge), name, body);
    }

    fn currency(&self, bill: usize) -> &'static str {
        CURRENCIES[self.bills[bill].property]
    }

    fn moved(&mut self, bill: usize, amount: i64) {
        let currency = self.currency(bill);
        *self.at_stripe.entry(currency).or_default() += amount;
    }

    /// A thing of a list by a random number.
    fn pick<T>(list: &[T], number: usize, fits: impl Fn(&T) -> bool) -> Option<usize> {
        let fitting: Vec<usize> = (0..list.len()).filter(|index| fits(&list[*index])).collect();
        (!fitting.is_empty()).then(|| fitting[number % fitting.len()])
    }

    /// What accounts that begin so hold, of the entries that are wanted.
    fn held(&self, account: &str, currency: &str, wanted: impl Fn(&Entry) -> bool) -> i64 {
        let postings = self.entries.iter().filter(|entry| wanted(entry)).flat_map(|entry| &entry.postings);
        let matching = postings.filter(|one| one.account.starts_with(account) && one.currency.code() == currency);
        matching.map(|one| one.amount).sum()
    }

    fn check_receivables(&self) {
        for (index, bill) in self.bills.iter().enumerate() {
            let currency = CURRENCIES[bill.property];
            let owed = self.held("Assets:Receivable:", currency, |entry| entry.about.invoice == Some(id(2, index)));
            let expected = if bill.published && !bill.void { bill.balance } else { bill.balance - bill.total };
            assert_eq!(owed, expected - bill.written_off, "invoice {index}: {bill:?}");
            let row = &self.rows[&id(2, index)];
            assert_eq!(row.balance, bill.balance, "the read model of invoices agrees");
        }
    }

    fn check(&self) {
        for currency in ["USD", "JPY", "EUR"] {
            let held = |account: &str| self.held(account, currency, |_| true);
            assert_eq!(held(""), 0, "the whole ledger balances in {currency}");
            assert_eq!(held("Liabilities:Unapplied"), 0, "{currency}");
            assert_eq!(held("Liabilities:CreditSetAside"), 0, "{currency}");
            let at_stripe = held("Assets:Stripe:");
            assert_eq!(at_stripe, self.at_stripe.get(currency).copied().unwrap_or_default(), "{currency}");
            let disputed = self.disputed.get(currency).copied().unwrap_or_default();
            assert_eq!(held("Assets:Disputed"), disputed, "{currency}");
        }
        assert_eq!(self.held("Assets:Bank", "USD", |_| true), self.bank);
        let open = self.charges.iter().filter_map(|charge| {
            let (_, _, reversed, returned) = charge.dispute.as_ref()?;
            (!returned).then_some((CURRENCIES[self.bills[charge.bill].property], *reversed))
        });
        let mut due_again: BTreeMap<&str, i64> = BTreeMap::new();
        open.for_each(|(currency, reversed)| *due_again.entry(currency).or_default() += reversed);
        for currency in CURRENCIES {
            let expected = due_again.get(currency).copied().unwrap_or_default();
            assert_eq!(self.held("Liabilities:Disputed", currency, |_| true), -expected, "{currency}");
        }
        for ((property, resident), left) in &self.credit {
            let account = format!("Liabilities:Credit:{}", id(5, *resident));
            let here = |entry: &Entry| entry.about.property == Some(id(1, *property));
            assert_eq!(self.held(&account, CURRENCIES[*property], here), -left);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_balances_and_agrees_with_what_was_done(
        steps in proptest::collection::vec((any::<u8>(), 0..1000_usize, 1..50_000_i64), 1..120)
    ) {
        let mut life = Life::begin();
        for (what, which, amount) in steps {
            life.step(what, which, amount);
        }
        while !life.later.is_empty() {
            life.deliver();
            life.check_receivables();
        }
        life.check();
    }
}

#[test]
fn a_surcharge_is_income_as_far_as_stripe_kept_it_and_the_difference_has_a_line() {
    let mut life = Life::begin();
    life.step(0, 2, 10_000);
    life.step(2, 0, 1);
    life.charge(1, 10_000);
    life.deliver();
    life.settle(0);
    let held = |account: &str| life.held(account, "USD", |_| true);
    // 100.00 plus 3.34 on top, of which Stripe kept 2.60.
    assert_eq!(held("Assets:Stripe:Available"), 10_334 - 260);
    assert_eq!(held("Assets:Stripe:Pending"), 0);
    assert_eq!((held("Expenses:Fees:Stripe"), held("Income:Fees"), held("Income:FeeDifference")), (260, -260, -74));
    assert_eq!((held("Income:Assessments"), held("Assets:Receivable")), (-10_000, 0));
}

#[test]
fn a_payment_that_never_settled_stays_pending_and_its_refund_comes_out_of_there() {
    let mut life = Life::begin();
    life.step(0, 2, 10_000);
    life.step(2, 0, 1);
    life.charge(1, 10_000);
    life.deliver();
    life.refund(0, 4_000);
    life.deliver();
    let held = |account: &str| life.held(account, "USD", |_| true);
    assert_eq!((held("Assets:Stripe:Pending"), held("Assets:Stripe:Available")), (6_334, 0));
    assert_eq!(
        (held("Assets:Receivable"), held("Liabilities:FeesHeld"), held("Liabilities:Unapplied")),
        (4_000, -334, 0)
    );
}
