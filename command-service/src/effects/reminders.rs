//! Reminders and announcements: timers of an invoice, each with a last look when it is due.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use domain::{
    Autopay, Invoice, Property, StripeAccount,
    autopay::{Status, Verdict},
    invoice::Phase,
};
use events::{InvoiceId, MessageId, Money, OrganizationId, StripeAccountId, property::BillingPolicy};
use processes::effect::Occasion;

use super::{Effects, occasions};
use crate::{
    Fault,
    outbox::{self, Done, Task},
};

/// The hour of the day, at the property, at which reminders go out.
const HOUR: u8 = 9;
/// How often an overdue invoice is looked at that autopay could have charged.
const LOOKS: i32 = 4;

/// What a reminder looks at.
struct Due {
    invoice: Invoice,
    billing: BillingPolicy,
    day: NaiveDate,
    now: DateTime<Utc>,
    autopay: Autopay,
    account: Option<StripeAccountId>,
}

impl Due {
    /// `None` when nothing is left to remind of.
    async fn look(effects: &Effects, organization: OrganizationId, id: InvoiceId) -> Result<Option<Self>, Fault> {
        let engine = &effects.engine;
        let invoice: Invoice = engine.state(organization, id.0).await?;
        let (Some(terms), Some(content)) = (invoice.terms, &invoice.content) else { return Ok(None) };
        let owed = invoice.balance().is_ok_and(Money::is_positive);
        if invoice.phase != Phase::Published || invoice.written_off.is_some() || !owed {
            return Ok(None);
        }
        let property: Property = engine.state(organization, terms.property.0).await?;
        let Some(details) = property.details else { return Ok(None) };
        let autopay_id = Autopay::id(terms.property, terms.resident);
        let autopay = engine.state(organization, autopay_id.0).await?;
        let (day, now, account) = (content.due_on, engine.clock().now(), details.stripe_account);
        Ok(Some(Self { billing: details.billing, day, now, autopay, account, invoice }))
    }

    /// The moment of a letter so many days from the due day.
    fn moment(&self, days: i64) -> DateTime<Utc> {
        let count = Days::new(days.unsigned_abs());
        let day = if days < 0 { self.day.checked_sub_days(count) } else { self.day.checked_add_days(count) };
        let zone = self.invoice.terms.map_or(events::TimeZone::UTC, |terms| terms.time_zone);
        zone.at_hour(day.unwrap_or(self.day), HOUR)
    }

    /// Whether autopay is going to take it without a word of the resident.
    fn is_taken_care_of(&self, id: InvoiceId) -> bool {
        self.autopay.status() == Status::Active
            && self
                .invoice
                .balance()
                .is_ok_and(|balance| matches!(self.autopay.may_charge(id, balance, self.now), Verdict::Charge { .. }))
    }
}

/// The timers that a property's billing policy sets.
const TIMERS: [&str; 4] = ["ChargeWhenDue", "RemindBeforeDue", "RemindOverdue", "AnnounceCharge"];

/// Has every timer of the organization look at when it is due now. Those of other properties find nothing changed: a policy
/// changes once in years, and to find out whose a timer is takes the same look.
pub async fn move_timers(effects: &Effects, task: &Task) -> Result<Done, Fault> {
    let engine = &effects.engine;
    outbox::wake(engine.store().pool(), task.organization, &TIMERS, engine.clock().now()).await?;
    Ok(Done::Finished)
}

pub async fn before_due(effects: &Effects, task: &Task, id: InvoiceId) -> Result<Done, Fault> {
    let Some(due) = Due::look(effects, task.organization, id).await? else { return Ok(Done::Finished) };
    let Some(days) = due.billing.reminder_days else { return Ok(switched_off(&due, due.moment(0))) };
    let when = due.moment(-i64::from(days));
    if due.now < when {
        return Ok(Done::At { when, why: "not yet time to remind" });
    }
    // Found too late to be a reminder: the overdue one will go out.
    if due.now >= due.moment(0) {
        return Ok(Done::Finished);
    }
    // Published too late for one: its letter has just gone out. If it is late for another reason, another policy say, it still helps
    // while there is a day left.
    if due.now >= when + TimeDelta::days(1) {
        let published = effects.engine.store().first_recorded(task.organization, id.0, "InvoicePublished").await?;
        if published.is_none_or(|published| published >= when) || due.now + TimeDelta::days(1) > due.moment(0) {
            return Ok(Done::Finished);
        }
    }
    // Autopay announces what it takes; while a payment is on its way there is nothing to do.
    if due.is_taken_care_of(id) || due.invoice.claim.is_some() {
        return Ok(Done::Finished);
    }
    let due_on = due.day;
    letter(effects, task, Occasion::PaymentReminder { invoice_id: id, overdue: false }, id, "before", due_on).await
}

pub async fn overdue(effects: &Effects, task: &Task, id: InvoiceId) -> Result<Done, Fault> {
    let Some(due) = Due::look(effects, task.organization, id).await? else { return Ok(Done::Finished) };
    let when = due.moment(1);
    if due.now < when {
        return Ok(Done::At { when, why: "not overdue yet" });
    }
    if !due.billing.remind_overdue {
        return Ok(Done::Finished);
    }
    // A bank debit takes days, and can fail: look again tomorrow.
    let tomorrow = due.now + TimeDelta::days(1);
    if due.invoice.claim.is_some() {
        return Ok(Done::At { when: tomorrow, why: "a payment is on its way" });
    }
    if due.is_taken_care_of(id) {
        let account: StripeAccount = match due.account {
            Some(account) => effects.engine.state(task.organization, account.0).await?,
            None => StripeAccount::default(),
        };
        if !account.takes_payments() {
            return Ok(Done::At { when: tomorrow, why: "autopay charges it as soon as the account takes payments" });
        }
        // Its charge is about to begin, unless it was due before autopay was on: then nobody takes care of it.
        if task.attempts < LOOKS {
            let why = "autopay is about to charge it".to_owned();
            return Ok(Done::Again { after: Duration::from_secs(60), why });
        }
    }
    let due_on = due.day;
    letter(effects, task, Occasion::PaymentReminder { invoice_id: id, overdue: true }, id, "overdue", due_on).await
}

pub async fn announce(effects: &Effects, task: &Task, id: InvoiceId) -> Result<Done, Fault> {
    let Some(due) = Due::look(effects, task.organization, id).await? else { return Ok(Done::Finished) };
    let charge_on = due.day;
    let zone = due.invoice.terms.map_or(events::TimeZone::UTC, |terms| terms.time_zone);
    let charged = zone.at_hour(charge_on, due.billing.charge_hour);
    let Some(days) = due.billing.autopay_notice_days else { return Ok(switched_off(&due, charged)) };
    let when = due.moment(-i64::from(days));
    if due.now < when {
        return Ok(Done::At { when, why: "not yet time to announce the charge" });
    }
    if !due.is_taken_care_of(id) || due.now >= charged {
        return Ok(Done::Finished);
    }
    letter(effects, task, Occasion::AutopayNotice { invoice_id: id, charge_on }, id, "announced", charge_on).await
}

/// It may be switched on while there is still time.
fn switched_off(due: &Due, until: DateTime<Utc>) -> Done {
    if due.now < until { Done::At { when: until, why: "switched off" } } else { Done::Finished }
}

/// One letter per invoice, occasion and due day, whichever timer comes first.
async fn letter(
    effects: &Effects,
    task: &Task,
    occasion: Occasion,
    id: InvoiceId,
    what: &str,
    due_on: NaiveDate,
) -> Result<Done, Fault> {
    let cause = format!("invoice/{id}/{what}/{due_on}");
    let message_id = MessageId::derived(task.organization.0, &format!("email/{cause}"));
    occasions::compose(effects, task, message_id, occasion, cause).await
}
