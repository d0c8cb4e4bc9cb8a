//! What can happen next: commands, the resident in Stripe's forms, banks, webhooks, faults, crashes, and time.

use chrono::{Days, TimeDelta};
use futures_util::{future::join_all, join};
use sandbox::{FaultKind, Provider};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    book::{Phase, id},
    enrollment::Standing,
    house::{House, fault},
    run::{Account, Run},
};

/// Cards in order of the sandbox's table, by what they do.
const CARDS: [&str; 9] = [
    "pm_card_visa",
    "pm_card_mastercard_debit",
    "pm_card_visa",
    "pm_card_chargeDeclinedInsufficientFunds",
    "pm_card_chargeDeclined",
    "pm_card_chargeDeclinedLostCard",
    "pm_card_chargeDeclinedExpiredCard",
    "pm_card_authenticationRequired",
    "pm_card_chargeDeclinedProcessingError",
];
const BANKS: [&str; 5] = [
    "pm_usBankAccount_success",
    "pm_usBankAccount_success",
    "pm_usBankAccount_insufficientFunds",
    "pm_usBankAccount_accountClosed",
    "pm_usBankAccount_returnedInsufficientFunds",
];
/// What polling makes good when its webhook is lost.
const DISPENSABLE: [&str; 4] = ["payment_intent.", "setup_intent.", "charge.succeeded", "charge.failed"];
const REQUESTS: [&str; 6] = [
    "POST /v1/payment_intents",
    "POST /v1/payment_intents",
    "/v1/payment_intents",
    "POST /v1/setup_intents",
    "POST /v1/refunds",
    "/v1/",
];

impl Run<'_> {
    pub async fn step(&mut self) -> Result<(), String> {
        match self.chance.below(100) {
            0..=7 => self.publish().await,
            8..=12 | 57 | 58 | 79..=81 => self.storm().await?,
            13..=15 => self.edit().await,
            16 | 17 => self.of_invoice("VoidInvoice").await,
            18..=21 => self.check_by_mail().await,
            22 => self.of_invoice("WriteOffInvoice").await,
            23..=27 => self.pay_by_hand().await,
            28..=33 => self.confirm().await,
            34 | 35 => self.cancel_payment().await,
            36 | 37 => self.refund().await,
            38 | 39 => self.dispute(),
            40 | 41 => self.decide_dispute(),
            42..=46 => self.enable_or_change().await,
            47..=54 => self.complete().await,
            55 => self.cancel_autopay().await,
            56 => self.cap().await,
            59 | 60 => self.approve().await,
            61..=65 => self.behave(),
            66 => self.lose_method(),
            67 => self.change_account().await,
            68 => self.grant().await,
            69..=73 => self.fail_requests(),
            74..=77 => self.deliver().await,
            78 => self.lose_webhooks().await,
            82..=85 => self.work().await?,
            86..=88 => self.react().await?,
            89..=91 => self.two_workers().await?,
            92..=96 => self.time_passes().await,
            _ => self.quiet().await?,
        }
        Ok(())
    }

    /// An invoice for which this makes sense, most times.
    fn invoice(&mut self, fits: impl Fn(&crate::book::Invoice) -> bool) -> Option<Uuid> {
        let any = self.chance.one_in(5);
        let ids: Vec<Uuid> =
            self.book.invoices.iter().filter(|(_, invoice)| any || fits(invoice)).map(|(id, _)| *id).collect();
        self.chance.pick(&ids)
    }

    fn who(&self) -> Value {
        json!({ "property_id": self.home.property, "resident_id": self.home.resident })
    }

    fn lines(&self, amount: i64) -> Value {
        json!([{ "description": "Condo fee", "amount": self.money(amount) }])
    }

    fn some_day(&mut self) -> chrono::NaiveDate {
        let days = self.chance.pick(&[0, 0, 1, 1, 2, 3, 5]).unwrap_or(0);
        self.book.zone.day_of(self.house.now()) + Days::new(days)
    }

    pub async fn publish(&mut self) {
        let days = self.chance.pick(&[0, 0, 1, 1, 2, 3, 5]).unwrap_or(0);
        self.publish_due(days).await;
    }

    async fn publish_due(&mut self, days: u64) {
        if self.book.invoices.len() >= 6 {
            return;
        }
        let due_on = self.book.zone.day_of(self.house.now()) + Days::new(days);
        let (invoice, amount) = (self.chance.id(), self.chance.between(500, 60_000));
        self.note(format!("publishes {invoice} of {amount}, due on {due_on}"));
        let fields = json!({
            "invoice_id": invoice, "property_id": self.home.property, "unit_id": self.home.unit,
            "resident_id": self.home.resident, "lines": self.lines(amount), "due_on": due_on,
        });
        let drafted = self.manage("DraftInvoice", self.house.body("DraftInvoice", fields)).await;
        self.ended(&drafted);
        let notify = self.chance.one_in(4);
        let published = self.manage("PublishInvoice", json!({ "invoice_id": invoice, "notify": notify })).await;
        self.ended(&published);
    }

    /// A charge falls due while requests fail, workers die, and people change their minds between its steps.
    async fn storm(&mut self) -> Result<(), String> {
        self.note("a storm");
        self.publish_due(0).await;
        for _ in 0..self.chance.between(3, 7) {
            match self.chance.below(14) {
                0 => self.cancel_autopay().await,
                1 => self.cap().await,
                2 => self.of_invoice("VoidInvoice").await,
                3 => self.check_by_mail().await,
                4 => self.edit().await,
                5 | 10 | 11 => self.behave(),
                6 => self.time_passes().await,
                7 => self.deliver().await,
                8 | 9 => self.fail_charges(),
                _ => {}
            }
            self.house.sequence().await;
            self.house.reactor().catch_up().await.map_err(|error| error.to_string())?;
            self.work().await?;
            self.read().await;
        }
        Ok(())
    }

    fn fail_charges(&mut self) {
        let kinds = [
            FaultKind::TimeoutAfterCommit { hold_ms: 1 },
            FaultKind::Truncate,
            FaultKind::TimeoutBeforeCommit { hold_ms: 1 },
            FaultKind::ServerError,
        ];
        let Some(kind) = self.chance.pick(&kinds) else { return };
        self.note(format!("charges fail: {kind:?}"));
        self.house.script(fault(Provider::Stripe, REQUESTS[0], kind, 2));
    }

    async fn edit(&mut self) {
        let Some(invoice) = self.invoice(|invoice| invoice.payable() && invoice.claim.is_none()) else { return };
        let (amount, due_on) = (self.chance.between(500, 60_000), self.some_day());
        self.note(format!("edits {invoice} to {amount}, due on {due_on}"));
        let fields = json!({
            "invoice_id": invoice, "title": "Monthly fee", "lines": self.lines(amount), "due_on": due_on,
        });
        let edited = self.manage("EditInvoice", self.house.body("EditInvoice", fields)).await;
        self.ended(&edited);
    }

    async fn of_invoice(&mut self, name: &str) {
        let Some(invoice) = self.invoice(|invoice| invoice.payable() && invoice.claim.is_none()) else { return };
        self.note(format!("{name} {invoice}"));
        let done = self.manage(name, json!({ "invoice_id": invoice, "reason": "A mistake" })).await;
        self.ended(&done);
    }

    async fn check_by_mail(&mut self) {
        let Some(invoice) = self.invoice(|invoice| invoice.payable() && invoice.claim.is_none()) else { return };
        let balance = self.book.invoices[&invoice].balance();
        let amount = match self.chance.below(4) {
            0 => balance / 2,
            1 => balance + 700,
            _ => balance,
        };
        self.note(format!("a check of {amount} for {invoice}"));
        let body = json!({
            "invoice_id": invoice, "payment_id": self.chance.id(), "amount": self.money(amount), "method": "Check",
            "received_on": self.book.zone.day_of(self.house.now()), "excess_to_credit": self.chance.one_in(2),
        });
        let done = self.manage("RecordOfflinePayment", body).await;
        self.ended(&done);
    }

    async fn pay_by_hand(&mut self) {
        let Some(invoice) = self.invoice(|invoice| invoice.payable() && invoice.claim.is_none()) else { return };
        let payment = self.chance.id();
        let bank = self.home.currency == "USD" && self.chance.one_in(4);
        let part = self.chance.one_in(4).then(|| self.book.invoices[&invoice].balance() / 2);
        self.note(format!("pays {invoice} by hand: {payment}, {part:?}"));
        let body = json!({
            "payment_id": payment, "invoice_id": invoice, "kind": if bank { "BankDebit" } else { "Card" },
            "amount": part.map(|part| self.money(part)),
        });
        let quoted = self.reside("QuotePayment", body).await;
        self.ended(&quoted);
        let started = self.reside("StartPayment", json!({ "payment_id": payment })).await;
        self.ended(&started);
    }

    /// Open PaymentIntents that wait for the resident.
    fn open_forms(&self) -> Vec<Value> {
        let mut intents = self.house.objects("payment_intents", &self.home.account);
        intents.retain(|intent| {
            let waits = matches!(intent["status"].as_str(), Some("requires_payment_method" | "requires_action"));
            let ours = self.book.payments.get(&id(&intent["metadata"]["propty_payment"]));
            waits && ours.is_some_and(|payment| !payment.autopay)
        });
        intents
    }

    async fn confirm(&mut self) {
        let forms = self.open_forms();
        let Some(intent) = self.chance.pick(&forms) else { return };
        let name = intent["id"].as_str().unwrap_or_default().to_owned();
        if intent["status"] == "requires_action" {
            let well = !self.chance.one_in(3);
            self.note(format!("authenticates {name}: {well}"));
            let _ = self.house.board.authenticate(&name, well);
            return;
        }
        let bank =
            intent["payment_method_types"].as_array().is_some_and(|kinds| kinds.contains(&json!("us_bank_account")));
        let method = self.chance.pick(if bank { &BANKS } else { &CARDS }).unwrap_or(CARDS[0]);
        self.note(format!("confirms {name} with {method}"));
        let path = format!("payment_intents/{name}/confirm");
        self.house.in_form(&self.home.account, &path, &format!("payment_method={method}")).await;
    }

    async fn cancel_payment(&mut self) {
        let open: Vec<Uuid> = self.book.payments.iter().filter(|(_, known)| known.open()).map(|(id, _)| *id).collect();
        let Some(payment) = self.chance.pick(&open) else { return };
        self.note(format!("cancels payment {payment}"));
        let done = self.reside("CancelPayment", json!({ "payment_id": payment })).await;
        self.ended(&done);
    }

    async fn refund(&mut self) {
        let paid: Vec<(Uuid, i64)> = self
            .book
            .payments
            .iter()
            .filter(|(_, known)| known.succeeded)
            .map(|(id, known)| (*id, known.amount))
            .collect();
        let Some((payment, amount)) = self.chance.pick(&paid) else { return };
        let part = self.chance.one_in(2).then_some(amount / 3);
        self.note(format!("refunds {payment}: {part:?}"));
        let body = json!({
            "payment_id": payment, "refund_id": self.chance.id(), "amount": part.map(|part| self.money(part)),
        });
        let done = self.manage("RefundPayment", body).await;
        self.ended(&done);
    }

    fn dispute(&mut self) {
        let mut intents = self.house.objects("payment_intents", &self.home.account);
        let known = self.house.objects("disputes", &self.home.account);
        intents.retain(|intent| {
            intent["status"] == "succeeded" && !known.iter().any(|dispute| dispute["payment_intent"] == intent["id"])
        });
        let Some(intent) = self.chance.pick(&intents) else { return };
        let name = intent["id"].as_str().unwrap_or_default().to_owned();
        self.note(format!("disputes {name}"));
        let _ = self.house.board.dispute(&name, &json!({}));
    }

    fn decide_dispute(&mut self) {
        let mut disputes = self.house.objects("disputes", &self.home.account);
        disputes.retain(|dispute| dispute["status"] == "needs_response");
        let Some(dispute) = self.chance.pick(&disputes) else { return };
        let name = dispute["id"].as_str().unwrap_or_default().to_owned();
        let word = self.chance.pick(&["won", "lost"]).unwrap_or("lost");
        self.note(format!("{name} is {word}"));
        let _ = self.house.board.settle_dispute(&name, word);
    }

    pub async fn enable_or_change(&mut self) {
        let mut body = self.who();
        let bank = self.home.currency == "USD" && self.chance.one_in(2);
        body["setup_id"] = json!(self.chance.id());
        body["kind"] = json!(if bank { "BankDebit" } else { "Card" });
        let name = match self.book.enrollment.standing {
            Standing::None | Standing::Cancelled => "EnableAutopay",
            Standing::Active => "UpdateAutopayMethod",
            Standing::Paused if self.chance.one_in(2) => "ReactivateAutopay",
            Standing::Paused => {
                body = self.who();
                "ReactivateAutopay"
            }
        };
        self.note(format!("{name} {body}"));
        let done = self.reside(name, body).await;
        self.ended(&done);
    }

    /// The resident completes Stripe's form of a set-up.
    pub async fn complete(&mut self) {
        let bank = self.home.currency == "USD";
        let card = self.chance.pick(&[
            "pm_card_visa",
            "pm_card_visa",
            "pm_card_chargeCustomerFail",
            "pm_card_authenticationRequired",
            "pm_card_chargeDeclined",
        ]);
        let account = self.chance.pick(&BANKS);
        self.complete_in(card.unwrap_or(CARDS[0]), account.filter(|_| bank).unwrap_or(BANKS[0])).await;
    }

    /// The same for this set-up, with a card that pays.
    pub async fn complete_well(&mut self, setup: Uuid) {
        let setups = self.house.objects("setup_intents", &self.home.account);
        let Some(found) = setups.iter().find(|known| id(&known["metadata"]["propty_setup"]) == setup) else { return };
        let path = format!("setup_intents/{}/confirm", found["id"].as_str().unwrap_or_default());
        self.note(format!("completes {path} with pm_card_visa"));
        self.house.in_form(&self.home.account, &path, "payment_method=pm_card_visa").await;
    }

    pub async fn complete_with(&mut self, method: &str) {
        self.complete_in(method, BANKS[0]).await;
    }

    async fn complete_in(&mut self, card: &str, bank: &str) {
        let mut setups = self.house.objects("setup_intents", &self.home.account);
        setups.retain(|setup| matches!(setup["status"].as_str(), Some("requires_payment_method" | "requires_action")));
        setups.sort_by_key(|setup| setup["created"].as_i64());
        // The newest form is the one that is open, but an older tab may be, too.
        let newest = setups.last().cloned();
        let Some(setup) = (if self.chance.one_in(5) { self.chance.pick(&setups) } else { newest }) else { return };
        let name = setup["id"].as_str().unwrap_or_default().to_owned();
        if setup["status"] == "requires_action" {
            let well = !self.chance.one_in(4);
            self.note(format!("authenticates {name}: {well}"));
            let _ = self.house.board.authenticate(&name, well);
            return;
        }
        let is_bank =
            setup["payment_method_types"].as_array().is_some_and(|kinds| kinds.contains(&json!("us_bank_account")));
        let method = if is_bank { bank } else { card };
        self.note(format!("completes {name} with {method}"));
        let path = format!("setup_intents/{name}/confirm");
        self.house.in_form(&self.home.account, &path, &format!("payment_method={method}")).await;
    }

    async fn cancel_autopay(&mut self) {
        self.note("cancels autopay");
        let done = self.reside("CancelAutopay", self.who()).await;
        self.ended(&done);
    }

    async fn cap(&mut self) {
        let mut body = self.who();
        if self.chance.one_in(2) {
            let cap = self.chance.between(1_000, 40_000);
            body["cap"] = self.money(cap);
        }
        self.note(format!("caps at {}", body["cap"]));
        let done = self.reside("SetAutopayCap", body).await;
        self.ended(&done);
    }

    async fn approve(&mut self) {
        let held: Vec<(Uuid, i64)> = self.book.enrollment.held.iter().map(|(id, amount)| (*id, *amount)).collect();
        let Some((invoice, amount)) = self.chance.pick(&held) else { return };
        self.note(format!("approves {invoice}"));
        let mut body = self.who();
        body["invoice_id"] = json!(invoice);
        body["amount"] = self.money(amount);
        let done = self.reside("ApproveCharge", body).await;
        self.ended(&done);
    }

    /// From now on the kept method does what another does, for some charges or for good.
    pub fn behave(&mut self) {
        let Some((method, bank)) = self.book.enrollment.method.clone() else { return };
        let like = self.chance.pick(if bank { &BANKS } else { &CARDS }).unwrap_or(CARDS[0]);
        let times = self.chance.pick(&[Some(1), Some(2), Some(4), None]).flatten();
        self.note(format!("{method} does as {like}: {times:?}"));
        let _ = self.house.board.behave(&method, like, times);
    }

    fn lose_method(&mut self) {
        let Some((method, bank)) = self.book.enrollment.method.clone() else { return };
        self.note(format!("{method} is lost"));
        let _ = if bank { self.house.board.revoke_mandate(&method) } else { self.house.board.detach_method(&method) };
    }

    async fn change_account(&mut self) {
        if self.account != Account::Open {
            self.open_account().await;
            return;
        }
        self.disturbed = true;
        if self.chance.one_in(2) {
            self.note("the account is restricted");
            self.account = Account::Restricted;
            let due = json!({ "currently_due": ["person"], "past_due": ["person"], "disabled_reason": "requirements.past_due" });
            let change = json!({ "charges_enabled": false, "requirements": due });
            let _ = self.house.board.update_account(&self.home.account, &change);
        } else {
            self.note("the account is deauthorized");
            self.account = Account::Deauthorized;
            self.unreachable = true;
            let _ = self.house.board.deauthorize(&self.home.account);
        }
    }

    pub async fn open_account(&mut self) {
        if self.account == Account::Open {
            return;
        }
        self.note("the account is open again");
        let _ = self.house.board.reauthorize(&self.home.account);
        let _ = self.house.board.finish_onboarding(&self.home.account);
        self.unreachable = false;
        self.account = Account::Open;
        // The word that it was closed comes before the one that it is open again.
        let _ = self.house.settle().await;
        let reconnect = json!({ "stripe_account_id": self.home.stripe_account });
        let done = self.manage("ReconnectStripeAccount", reconnect).await;
        self.ended(&done);
    }

    async fn grant(&mut self) {
        let amount = self.chance.between(100, 20_000);
        self.note(format!("grants {amount} of credit"));
        let mut body = self.who();
        body["grant_id"] = json!(self.chance.id());
        body["amount"] = self.money(amount);
        body["note"] = json!("The pool was closed");
        let done = self.manage("GrantCredit", body).await;
        if done.is_ok() {
            self.granted += amount;
        }
        self.ended(&done);
    }

    fn fail_requests(&mut self) {
        let kinds = [
            FaultKind::RateLimit { retry_after: 0 },
            FaultKind::ServerError,
            FaultKind::Slow { ms: 3 },
            FaultKind::TimeoutBeforeCommit { hold_ms: 1 },
            FaultKind::TimeoutAfterCommit { hold_ms: 1 },
            FaultKind::TimeoutAfterCommit { hold_ms: 1 },
            FaultKind::Truncate,
            FaultKind::Garble,
        ];
        let Some(kind) = self.chance.pick(&kinds) else { return };
        let times = u32::try_from(self.chance.between(1, 3)).unwrap_or(1);
        let (provider, matching) = if self.chance.one_in(6) {
            (Provider::Resend, "POST /emails")
        } else {
            (Provider::Stripe, self.chance.pick(&REQUESTS).unwrap_or(REQUESTS[0]))
        };
        self.note(format!("{matching} fails {times} times: {kind:?}"));
        self.house.script(fault(provider, matching, kind, times));
    }

    /// Some webhooks arrive, in any order, some of them several times at once.
    async fn deliver(&mut self) {
        self.house.arrived().await;
        let mut notices = self.house.inbox.take();
        self.chance.shuffle(&mut notices);
        let late = notices.split_off(self.chance.below(notices.len() + 1));
        self.note(format!("{} webhooks arrive, {} are late", notices.len(), late.len()));
        for notice in &notices {
            let copies = if self.chance.one_in(3) { self.chance.between(2, 5) } else { 1 };
            join_all((0..copies).map(|_| self.house.deliver(notice))).await;
        }
        self.house.inbox.put_back(late);
    }

    async fn lose_webhooks(&mut self) {
        self.house.arrived().await;
        let mut notices = self.house.inbox.take();
        notices.retain(|notice| {
            let kind = notice.kind();
            !DISPENSABLE.iter().any(|part| kind.starts_with(part))
        });
        self.note("webhooks are lost");
        self.house.inbox.put_back(notices);
    }

    async fn work(&mut self) -> Result<(), String> {
        if self.chance.one_in(2) {
            self.house.hurry().await;
        }
        if self.chance.one_in(3) {
            self.note("the worker works");
            self.house.worker().drain().await.map_err(|error| error.to_string())?;
        } else {
            let nth = usize::try_from(self.chance.between(1, 90)).unwrap_or(1);
            let ended = House::dies_at(self.house.worker().drain(), nth).await;
            self.note(format!("the worker dies at {nth}: {}", !ended));
        }
        Ok(())
    }

    async fn react(&mut self) -> Result<(), String> {
        self.house.sequence().await;
        if self.chance.one_in(2) {
            self.note("the processes react");
            self.house.reactor().catch_up().await.map_err(|error| error.to_string())?;
        } else {
            let nth = usize::try_from(self.chance.between(1, 20)).unwrap_or(1);
            let ended = House::dies_at(self.house.reactor().catch_up(), nth).await;
            self.note(format!("the reactor dies at {nth}: {}", !ended));
        }
        Ok(())
    }

    /// Two workers do the same tasks at the same time; the first has lost its claims without knowing.
    async fn two_workers(&mut self) -> Result<(), String> {
        self.note("two workers and two reactors at once");
        self.house.hurry().await;
        let (one, other) = (self.house.worker(), self.house.worker());
        let first = one.claim(100).await.map_err(|error| error.to_string())?;
        self.house.sql("update engine.outbox set lease_until = '-infinity' where holder is not null").await;
        let second = other.claim(100).await.map_err(|error| error.to_string())?;
        let nth = usize::try_from(self.chance.between(5, 60)).unwrap_or(1);
        let (reactor, rival) = (self.house.reactor(), self.house.reactor());
        self.house.sequence().await;
        let (_, _, read, also) = join!(
            House::dies_at(join_all(first.iter().map(|task| one.carry_out(task))), nth),
            join_all(second.iter().map(|task| other.carry_out(task))),
            reactor.catch_up(),
            rival.catch_up(),
        );
        read.and(also).map_err(|error| error.to_string())?;
        Ok(())
    }

    async fn time_passes(&mut self) {
        let now = self.house.now();
        let dues = self.book.invoices.values().filter(|invoice| invoice.phase == Phase::Published);
        let next = dues
            .map(|invoice| self.book.moment(invoice.due_on, self.home.charge_hour))
            .chain(self.book.enrollment.failure.and_then(|failure| failure.retry).map(|(_, at)| at))
            .filter(|moment| *moment > now)
            .min();
        let by = match (next, self.chance.below(5)) {
            (Some(next), 0) => next - now - TimeDelta::seconds(2),
            (Some(next), 1 | 2) => next - now + TimeDelta::seconds(1),
            (_, 3) => TimeDelta::minutes(self.chance.between(1, 600)),
            _ => TimeDelta::hours(self.chance.between(10, 80)),
        };
        let by = by.max(TimeDelta::seconds(1));
        self.note(format!("{} minutes pass", by.num_minutes()));
        self.house.advance(by).await;
    }
}
