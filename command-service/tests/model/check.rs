//! What has to hold whenever everything was delivered and nothing is left to do.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use domain::{Autopay, Credit, autopay::Status, credit::credit_id};
use events::{PaymentId, PropertyId, ResidentId};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    book::{Phase, id},
    enrollment::{End, Standing},
    run::Run,
};

/// A wrong becomes a sentence.
fn must(wrongs: &mut Vec<String>, holds: bool, rule: impl FnOnce() -> String) {
    if !holds {
        wrongs.push(rule());
    }
}

impl Run<'_> {
    /// Compares the sandbox, the log, the domain's states and the model.
    pub async fn check(&mut self) -> Result<(), String> {
        self.read().await;
        let mut wrongs = std::mem::take(&mut self.book.wrongs);
        self.books(&mut wrongs);
        self.set_ups(&mut wrongs);
        self.states(&mut wrongs).await;
        self.letters(&mut wrongs);
        self.machinery(&mut wrongs).await;
        if wrongs.is_empty() { Ok(()) } else { Err(wrongs.join("\n")) }
    }

    /// Stripe's money, payment by payment and invoice by invoice.
    fn books(&self, wrongs: &mut Vec<String>) {
        let intents = self.house.objects("payment_intents", &self.home.account);
        let refunds = self.house.objects("refunds", &self.home.account);
        let disputes = self.house.objects("disputes", &self.home.account);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut of_payment: BTreeMap<Uuid, usize> = BTreeMap::new();
        let mut by_autopay: BTreeMap<Uuid, usize> = BTreeMap::new();
        for intent in &intents {
            let (payment, stripe) = (id(&intent["metadata"]["propty_payment"]), text(&intent["id"]));
            *of_payment.entry(payment).or_default() += 1;
            let Some(known) = self.book.payments.get(&payment).filter(|known| known.submitting) else {
                wrongs.push(format!("{stripe} was created without a committed intent ({payment})"));
                continue;
            };
            let charge = self.book.enrollment.charges.get(&payment);
            must(wrongs, charge.is_some() == known.autopay, || format!("{stripe} is charged without ChargeAuthorized"));
            let succeeded = intent["status"] == "succeeded";
            let sum = |all: &[Value], counts: &dyn Fn(&Value) -> bool| -> i64 {
                let ours = all.iter().filter(|one| one["payment_intent"] == intent["id"] && counts(one));
                ours.map(|one| one["amount"].as_i64().unwrap_or_default()).sum()
            };
            let refunded = sum(&refunds, &|refund| refund["status"] == "succeeded");
            let taken = sum(&disputes, &|dispute| {
                ["needs_response", "under_review", "lost"].contains(&text(&dispute["status"]).as_str())
            });
            let charged = if succeeded { intent["amount"].as_i64().unwrap_or_default() } else { 0 };
            if known.autopay && succeeded && charge.is_none_or(|charge| charge.end != Some(End::Returned)) {
                *by_autopay.entry(known.invoice).or_default() += 1;
            }
            // While the account is out of reach, news of it is, too.
            if !self.book.connected() || self.unreachable {
                continue;
            }
            let applied = self.book.invoices.get(&known.invoice).and_then(|invoice| invoice.applied.get(&payment));
            let booked = applied.map_or(0, |applied| applied.amount - applied.reversed);
            must(wrongs, booked == (charged - refunded - taken).max(0), || {
                format!("{stripe}: charged {charged}, refunded {refunded}, disputed {taken}, booked {booked}")
            });
            must(wrongs, known.succeeded == succeeded, || {
                format!("{stripe} is {}, our payment differs", intent["status"])
            });
        }
        for (payment, count) in of_payment {
            must(wrongs, count == 1, || format!("{count} PaymentIntents of payment {payment}"));
        }
        for (invoice, count) in by_autopay {
            must(wrongs, count <= 1, || format!("autopay charged invoice {invoice} {count} times"));
        }
    }

    fn set_ups(&self, wrongs: &mut Vec<String>) {
        let intents = self.house.objects("setup_intents", &self.home.account);
        for (intent, method) in &self.book.enrollment.activations {
            let real = intents.iter().any(|seen| {
                seen["id"] == **intent && seen["status"] == "succeeded" && seen["payment_method"] == **method
            });
            must(wrongs, real, || format!("{method} was activated, but {intent} did not succeed at Stripe"));
        }
    }

    async fn states(&self, wrongs: &mut Vec<String>) {
        let (engine, organization) = (&self.house.effects.engine, self.home.organization);
        for (invoice, ours) in &self.book.invoices {
            let theirs: domain::Invoice = engine.state(organization, *invoice).await.expect("an invoice");
            let balance = theirs.balance().map_or(i64::MIN, events::Money::amount);
            must(wrongs, balance == ours.balance(), || format!("{invoice}: {balance} is left, not {}", ours.balance()));
            let claim = theirs.claim.map(|(payment, amount)| (payment.0, amount.amount()));
            must(wrongs, claim == ours.claim, || format!("{invoice}: claimed by {claim:?}, not {:?}", ours.claim));
            if let Some((payment, _)) = ours.claim {
                let open = self.book.payments.get(&payment).is_some_and(crate::book::Payment::open);
                must(wrongs, open || self.unreachable, || format!("{invoice} is claimed by {payment}, which is over"));
            }
        }
        let ours = &self.book.enrollment;
        let autopay_id = Autopay::id(PropertyId(self.home.property), ResidentId(self.home.resident));
        let theirs: Autopay = engine.state(organization, autopay_id.0).await.expect("an enrollment");
        let standing = match theirs.status() {
            Status::None | Status::SetupPending => Standing::None,
            Status::Active => Standing::Active,
            Status::Paused => Standing::Paused,
            Status::Cancelled => Standing::Cancelled,
        };
        must(wrongs, standing == ours.standing, || format!("autopay is {standing:?}, not {:?}", ours.standing));
        let retry = theirs.next_retry().map(|(invoice, retry)| (invoice.0, retry.attempt, retry.at));
        let expected = ours.failure.and_then(|failure| {
            let flying = ours.charges.values().any(|charge| charge.invoice == failure.invoice && charge.end.is_none());
            failure.retry.filter(|_| !flying).map(|(attempt, at)| (failure.invoice, attempt, at))
        });
        must(wrongs, retry == expected, || format!("the next retry is {retry:?}, not {expected:?}"));
        must(wrongs, ours.failure.is_none() || ours.standing == Standing::Paused, || {
            format!("autopay is {:?} after a failure", ours.standing)
        });
        for (payment, charge) in &ours.charges {
            let their_end = theirs.charge(PaymentId(*payment)).and_then(|charge| charge.end);
            must(wrongs, their_end.is_some() == charge.end.is_some(), || {
                format!("the end of charge {payment} differs")
            });
            let over = self.book.payments.get(payment).is_some_and(|payment| !payment.open());
            must(wrongs, !over || charge.end.is_some(), || format!("the charge of {payment} goes on after its end"));
        }
        let credit = credit_id(PropertyId(self.home.property), ResidentId(self.home.resident));
        let credit: Credit = engine.state(organization, credit.0).await.expect("a credit");
        let credit = credit.balance.map_or(0, events::Money::amount);
        must(wrongs, credit == self.book.credit, || format!("credit is {credit}, not {}", self.book.credit));
        // A refund or a dispute leaves the invoice open until credit comes; a claim, until it is over.
        let open = |known: &crate::book::Invoice| known.payable() && known.claim.is_none() && !known.troubled;
        if let Some((invoice, _)) = self.book.invoices.iter().find(|(_, known)| open(known)) {
            must(wrongs, credit == 0, || format!("{credit} of credit lies idle while {invoice} is open"));
        }
        let granted =
            self.granted + self.book.invoices.values().map(|invoice| invoice.overpaid - invoice.credited).sum::<i64>();
        must(wrongs, granted == credit, || format!("{granted} of credit came, {credit} is there"));
    }

    /// Every failure is told by one e-mail.
    fn letters(&self, wrongs: &mut Vec<String>) {
        let mut messages: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
        for fact in self.book.facts.iter().filter(|fact| fact.name == "EmailRequested") {
            messages.entry(fact.body["cause"].as_str().unwrap_or_default().to_owned()).or_default().push(fact.id);
        }
        let unknown: BTreeSet<Uuid> =
            self.book.facts.iter().filter(|fact| fact.name == "EmailOutcomeUnknown").map(|fact| fact.id).collect();
        let emails = self.house.emails();
        let sent = |message: Uuid| {
            let name = message.to_string();
            emails.iter().filter(|email| email["_tags"]["message"] == name).count()
        };
        for failure in self.book.failures() {
            let ours = messages.get(&failure).cloned().unwrap_or_default();
            must(wrongs, ours.len() == 1, || format!("{} e-mails are about {failure}", ours.len()));
            for message in ours {
                let count = sent(message);
                // An answer that was lost for longer than the key lives is a person's question.
                must(wrongs, count == 1 || (count == 0 && unknown.contains(&message)), || {
                    format!("the e-mail about {failure} was sent {count} times")
                });
            }
        }
        for message in messages.values().flatten() {
            must(wrongs, sent(*message) <= 1, || format!("message {message} was sent more than once"));
        }
    }

    /// Nothing is left to a person that no fault explains.
    async fn machinery(&self, wrongs: &mut Vec<String>) {
        let rows: Vec<(String, String, String)> = sqlx::query_as(
            "select name || ' ' || body::text, state, coalesce(last_error, '') from engine.outbox
             where organization_id = $1 and state in ('unresolved', 'refused')",
        )
        .bind(self.home.organization.0)
        .fetch_all(self.house.pool())
        .await
        .expect("rows");
        for (name, state, why) in rows {
            let explained = self.disturbed && (why.contains("account") || why.contains("not show"))
                || why.contains("answer was lost");
            must(wrongs, explained, || format!("{name} is {state}: {why}"));
        }
        let failed: i64 = sqlx::query_scalar("select count(*) from engine.webhooks where state = 'failed'")
            .fetch_one(self.house.pool())
            .await
            .expect("a number");
        must(wrongs, failed == 0, || format!("{failed} webhooks were not understood"));
    }

    /// In the end: nothing is in flight, and what autopay had to charge is paid.
    pub fn converged(&self) -> Result<(), String> {
        let mut wrongs = Vec::new();
        for (payment, known) in &self.book.payments {
            must(&mut wrongs, !known.open(), || format!("payment {payment} never ended: {known:?}"));
        }
        let enrollment = &self.book.enrollment;
        for (payment, charge) in &enrollment.charges {
            must(&mut wrongs, charge.end.is_some(), || format!("charge {payment} never ended: {charge:?}"));
        }
        for (invoice, known) in &self.book.invoices {
            must(&mut wrongs, known.claim.is_none(), || format!("{invoice} is still claimed: {known:?}"));
            let Some(since) = enrollment.since.filter(|_| enrollment.standing == Standing::Active) else { continue };
            let moment = self.book.moment(known.due_on, self.home.charge_hour).max(known.dated);
            let bank_limit = enrollment
                .method
                .as_ref()
                .is_some_and(|(method, bank)| *bank && enrollment.presented(*invoice, method) > 2);
            // What is raised after autopay has paid it is for the resident to pay: it charges an invoice once.
            let charged = enrollment
                .charges
                .values()
                .any(|charge| charge.invoice == *invoice && charge.end == Some(End::Succeeded));
            let ours = known.phase == Phase::Published
                && !charged
                && known.payable()
                && !known.troubled
                && !bank_limit
                && moment > since
                && moment + TimeDelta::hours(2) < self.house.now()
                && !enrollment.held.contains_key(invoice);
            must(&mut wrongs, !ours, || {
                format!("{invoice} was due at {moment}, autopay is on since {since}, and it is not paid: {known:?}")
            });
        }
        if wrongs.is_empty() { Ok(()) } else { Err(wrongs.join("\n")) }
    }
}
