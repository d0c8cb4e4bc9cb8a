//! The reference model of autopay: one resident's enrollment, its charges, failures and retries.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::book::{Book, DAY, Fact, Phase, id};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Standing {
    #[default]
    None,
    Active,
    Paused,
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Succeeded,
    Failed,
    Returned,
    Withdrawn,
}

#[derive(Debug, Clone)]
pub struct Charge {
    pub invoice: Uuid,
    pub amount: i64,
    pub method: String,
    pub end: Option<End>,
    attempt: u32,
    bank: bool,
    life: u32,
}

#[derive(Debug, Clone, Copy)]
pub struct Failure {
    pub invoice: Uuid,
    pub retry: Option<(u32, DateTime<Utc>)>,
}

/// What a decline means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decline {
    Soft,
    Hard,
    Authentication,
}

/// The codes that the sandbox knows, as the networks mean them.
fn meaning(bank: bool, code: &str, decline_code: Option<&str>) -> Decline {
    let word = decline_code.unwrap_or(code);
    match word {
        "insufficient_funds" => Decline::Soft,
        _ if bank => Decline::Hard,
        "generic_decline" | "processing_error" | "card_velocity_exceeded" => Decline::Soft,
        "authentication_required" => Decline::Authentication,
        _ => Decline::Hard,
    }
}

/// Autopay of the resident.
#[derive(Debug, Default)]
pub struct Enrollment {
    pub standing: Standing,
    pub new_method: bool,
    pub failure: Option<Failure>,
    pub charges: BTreeMap<Uuid, Charge>,
    pub cap: Option<i64>,
    pub held: BTreeMap<Uuid, i64>,
    pub approved: BTreeMap<Uuid, i64>,
    pub waiting: Vec<Uuid>,
    /// Stripe's id and whether it is a bank account.
    pub method: Option<(String, bool)>,
    /// Stripe's ids of the set-ups that made a method usable, and the method.
    pub activations: Vec<(String, String)>,
    /// Since when it charges what falls due, without an interruption by a cancel.
    pub since: Option<DateTime<Utc>>,
    setup: Option<(Uuid, Option<String>)>,
    life: u32,
    /// Failures of an invoice since anything new was decided about it.
    tried: BTreeMap<Uuid, (u32, DateTime<Utc>)>,
}

impl Enrollment {
    pub const fn enrolled(&self) -> bool {
        matches!(self.standing, Standing::Active | Standing::Paused)
    }

    pub fn charged(&self, invoice: Uuid) -> bool {
        self.charges.values().any(|charge| charge.invoice == invoice && charge.end == Some(End::Succeeded))
    }

    fn in_flight(&self, invoice: Uuid) -> bool {
        self.charges.values().any(|charge| charge.invoice == invoice && charge.end.is_none())
    }

    /// How often a bank sent a debit of this invoice back.
    pub fn presented(&self, invoice: Uuid, method: &str) -> u32 {
        let back = |charge: &&Charge| {
            charge.invoice == invoice
                && charge.method == method
                && matches!(charge.end, Some(End::Failed | End::Returned))
        };
        u32::try_from(self.charges.values().filter(back).count()).unwrap_or(u32::MAX)
    }

    pub(super) fn take(&mut self, book: &mut Book, fact: &Fact) {
        let invoice = fact.id_of("invoice_id");
        match fact.name.as_str() {
            "AutopaySetupRequested" => {
                self.setup = Some((fact.id_of("setup_id"), None));
                if fact.body["purpose"] == "Enable" {
                    book.must(!self.enrolled(), || "autopay is enabled once".to_owned(), fact);
                    self.standing = Standing::None;
                } else {
                    book.must(self.enrolled(), || "only autopay that is on gets another method".to_owned(), fact);
                }
            }
            "AutopaySetupSubmitted" => {
                if let Some((_, intent)) = &mut self.setup {
                    *intent = fact.body["setup_intent"].as_str().map(str::to_owned);
                }
            }
            "AutopayActivated" => {
                let (setup, intent) = self.setup.clone().unwrap_or_default();
                book.must(setup == fact.id_of("setup_id"), || "the newest set-up counts".to_owned(), fact);
                let method = fact.body["method"]["payment_method"].as_str().unwrap_or_default().to_owned();
                self.activations.push((intent.unwrap_or_default(), method.clone()));
                self.method = Some((method, fact.body["method"]["kind"] == "BankDebit"));
                if !self.enrolled() {
                    self.standing = Standing::Active;
                    self.since = Some(fact.at);
                }
                self.setup = None;
            }
            "AutopayCapChanged" => self.cap = fact.body["cap"]["amount"].as_i64(),
            "ChargeHeld" => {
                let amount = fact.money("amount");
                let above = self.cap.is_some_and(|cap| amount > cap) && self.approved.get(&invoice) != Some(&amount);
                book.must(above && self.enrolled(), || "only what is above the cap is held".to_owned(), fact);
                self.held.insert(invoice, amount);
            }
            "ChargeApproved" => {
                let amount = fact.money("amount");
                book.must(self.held.get(&invoice) == Some(&amount), || "what is approved was held".to_owned(), fact);
                self.held.remove(&invoice);
                self.approved.insert(invoice, amount);
            }
            "ChargeDeferred" => {
                book.must(self.standing == Standing::Paused, || "only a pause makes wait".to_owned(), fact);
                self.waiting.push(invoice);
            }
            "ChargeAuthorized" => self.authorized(book, fact, invoice),
            "ChargeSucceeded" => {
                let payment = fact.id_of("payment_id");
                let paid = book.payments.get(&payment).is_some_and(|payment| payment.succeeded);
                book.must(paid, || "a charge succeeds when the money came".to_owned(), fact);
                self.end(book, fact, End::Succeeded);
                self.tried.remove(&invoice);
                self.waiting.retain(|waiting| *waiting != invoice);
                self.held.remove(&invoice);
                self.approved.remove(&invoice);
            }
            "ChargeWithdrawn" => {
                let payment = fact.id_of("payment_id");
                let over = book.payments.get(&payment).is_some_and(|payment| payment.canceled);
                book.must(over, || "only what came to nothing is withdrawn".to_owned(), fact);
                self.end(book, fact, End::Withdrawn);
                let ours = self.charges.get(&payment).is_some_and(|charge| charge.life == self.life);
                let retried = self.failure.is_some_and(|failure| failure.invoice == invoice);
                if ours && self.standing == Standing::Paused && !retried {
                    self.waiting.push(invoice);
                }
            }
            "ChargeFailed" => self.failed(book, fact, invoice),
            "AutopayPaused" => {
                book.must(self.enrolled(), || "only autopay that is on is paused".to_owned(), fact);
                self.standing = Standing::Paused;
                self.new_method = fact.body["new_method_required"] == true;
                if let Some(failure) = self.failure.as_mut().filter(|_| self.new_method) {
                    failure.retry = None;
                }
            }
            "AutopayResumed" => self.resumed(book, fact),
            "AutopayCancelled" => {
                self.standing = Standing::Cancelled;
                self.life += 1;
                self.since = None;
                (self.setup, self.method, self.failure) = (None, None, None);
                self.waiting.clear();
                self.held.clear();
                self.approved.clear();
                self.tried.clear();
            }
            _ => {}
        }
    }

    fn end(&mut self, book: &mut Book, fact: &Fact, end: End) {
        let known = self.charges.get_mut(&fact.id_of("payment_id"));
        book.must(known.is_some(), || "what ends was authorized".to_owned(), fact);
        if let Some(charge) = known {
            charge.end = Some(end);
        }
    }

    fn authorized(&mut self, book: &mut Book, fact: &Fact, invoice: Uuid) {
        let (payment, amount) = (fact.id_of("payment_id"), fact.money("amount"));
        let attempt = u32::try_from(fact.body["attempt"].as_u64().unwrap_or_default()).unwrap_or(u32::MAX);
        let may = match self.standing {
            Standing::Active => attempt == 0,
            Standing::Paused => self.failure.is_some_and(|failure| {
                let due = failure.retry.is_some_and(|(number, at)| number == attempt && at <= fact.at);
                failure.invoice == invoice && due
            }),
            Standing::None | Standing::Cancelled => false,
        };
        book.must(may, || format!("no charge while {:?} but its retry", self.standing), fact);
        book.must(!self.in_flight(invoice), || "one charge at a time".to_owned(), fact);
        book.must(!self.charged(invoice), || "an invoice is charged once".to_owned(), fact);
        if let Some((failures, last)) = self.tried.get(&invoice).copied() {
            book.must(failures <= 3, || "at most three retries".to_owned(), fact);
            book.must(fact.at - last >= DAY, || "at most one attempt a day".to_owned(), fact);
        }
        let known = book.invoices.get(&invoice).cloned().unwrap_or_default();
        let claimed = known.claim == Some((payment, amount));
        book.must(claimed, || "what is authorized holds the claim".to_owned(), fact);
        let expected = known.phase == Phase::Published && !known.written_off && known.balance() == amount;
        book.must(expected, || "the whole balance is charged".to_owned(), fact);
        let due = book.zone.day_of(fact.at) >= known.due_on;
        book.must(due, || "nothing is charged before it is due".to_owned(), fact);
        let within = self.cap.is_none_or(|cap| amount <= cap) || self.approved.get(&invoice) == Some(&amount);
        book.must(within, || "nothing above the cap is charged unasked".to_owned(), fact);
        let (method, bank) = self.method.clone().unwrap_or_default();
        book.must(fact.body["payment_method"] == *method, || "the present method is charged".to_owned(), fact);
        if bank {
            book.must(self.presented(invoice, &method) <= 2, || "at most two re-presentments".to_owned(), fact);
        }
        self.held.remove(&invoice);
        self.waiting.retain(|waiting| *waiting != invoice);
        self.charges.insert(payment, Charge { invoice, amount, method, end: None, attempt, bank, life: self.life });
    }

    fn failed(&mut self, book: &mut Book, fact: &Fact, invoice: Uuid) {
        let payment = fact.id_of("payment_id");
        let retry = fact.body["retry"]["attempt"].as_u64().and_then(|attempt| u32::try_from(attempt).ok());
        let at = fact.body["retry"]["at"].as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok());
        let Some(charge) = self.charges.get(&payment).cloned() else {
            book.must(false, || "what fails was authorized".to_owned(), fact);
            return;
        };
        let returned = fact.body["reason"].get("Returned").is_some();
        let expected = if returned { None } else { self.expected_retry(book, fact, &charge) };
        book.must(retry == expected, || format!("the next attempt is {expected:?}"), fact);
        book.must(at.is_none_or(|at| at - fact.at == DAY), || "a retry is a day later".to_owned(), fact);
        let ended_well = charge.end == Some(End::Succeeded);
        book.must(!ended_well || returned, || "what succeeded does not fail".to_owned(), fact);
        self.end(book, fact, if returned { End::Returned } else { End::Failed });
        if charge.life != self.life || !self.enrolled() || self.charged(invoice) {
            return;
        }
        if !charge.bank {
            let failures = self.tried.get(&invoice).map_or(0, |(failures, _)| *failures);
            self.tried.insert(invoice, (failures + 1, fact.at));
        }
        let first = self.standing == Standing::Active;
        if first || self.failure.is_none_or(|failure| failure.invoice == invoice) {
            self.failure = Some(Failure { invoice, retry: retry.zip(at) });
        } else {
            self.waiting.push(invoice);
        }
    }

    /// The number of the retry that follows from a decline, if one does.
    fn expected_retry(&self, book: &mut Book, fact: &Fact, charge: &Charge) -> Option<u32> {
        let told = book.payments.get(&fact.id_of("payment_id")).and_then(|payment| payment.declined.last().cloned());
        let Some((code, decline_code, _)) = told else {
            book.must(false, || "only a decline is a failure".to_owned(), fact);
            return None;
        };
        let decline = meaning(charge.bank, &code, decline_code.as_deref());
        let named = match decline {
            Decline::Soft => ["Declined", "RetriesUsedUp"].as_slice(),
            Decline::Hard => ["DeclinedForGood", "Declined"].as_slice(),
            Decline::Authentication => ["AuthenticationRequired", "Declined"].as_slice(),
        };
        let reason = &fact.body["reason"];
        let fits = named.iter().any(|name| reason == name || reason.get(*name).is_some());
        book.must(fits, || format!("{code} {decline_code:?} is {decline:?}"), fact);
        if charge.life != self.life || !self.enrolled() || self.charged(charge.invoice) {
            return None;
        }
        let (method, bank) = self.method.clone()?;
        if self.standing == Standing::Paused
            && (self.new_method || self.failure.is_some_and(|failure| failure.invoice != charge.invoice))
        {
            return None;
        }
        let replaced = method != charge.method;
        let made = match (replaced, bank) {
            (false, true) => self.presented(charge.invoice, &method),
            (false, false) if self.failure.is_some_and(|failure| failure.invoice == charge.invoice) => charge.attempt,
            (true, _) | (false, false) => 0,
        };
        let most = if bank { 2 } else { 3 };
        ((decline == Decline::Soft || replaced) && made < most).then_some(made + 1)
    }

    fn resumed(&mut self, book: &mut Book, fact: &Fact) {
        book.must(self.standing == Standing::Paused, || "only a pause ends".to_owned(), fact);
        let open: Vec<Uuid> = book.invoices.iter().filter(|(_, known)| known.payable()).map(|(id, _)| *id).collect();
        let settled = |invoice: Uuid| !open.contains(&invoice) || self.charged(invoice);
        let because = fact.body["because"].as_str().unwrap_or_default();
        let fits = match because {
            "RetrySucceeded" | "InvoiceSettled" => {
                !self.new_method && self.failure.is_some_and(|failure| settled(failure.invoice))
            }
            "Reactivated" => !self.new_method && fact.command == "ReactivateAutopay",
            "NewMethod" => true,
            _ => false,
        };
        book.must(fits, || "a pause ends for a reason".to_owned(), fact);
        let told: Vec<Uuid> = fact.body["waiting"].as_array().into_iter().flatten().map(id).collect();
        for waiting in &self.waiting {
            let over = self.in_flight(*waiting) || settled(*waiting);
            book.must(told.contains(waiting) || over, || format!("{waiting} waits no longer"), fact);
        }
        self.standing = Standing::Active;
        self.new_method = false;
        self.failure = None;
        self.waiting.clear();
        if because == "RetrySucceeded" || because == "InvoiceSettled" {
            // Those that failed meanwhile begin anew, but not twice on one day.
            self.tried.values_mut().for_each(|(failures, _)| *failures = 0);
        } else {
            self.tried.clear();
        }
    }
}
