//! Charges by autopay: when an invoice falls due, after a failure, after a pause. The last look before a charge is taken here, and
//! again on the invoice's and the enrollment's own streams.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{
    Autopay, Command, Invoice, Payment, Property, Resident, StripeAccount,
    autopay::{DeferCharge, HoldCharge, LoseMethod, Loss, NoCharge, ReleaseInvoice, Verdict},
    invoice,
    payment::{Phase, StartAutopayPayment},
    property::Details,
};
use events::{AutopayId, InvoiceId, Money, PaymentId, autopay::AutopayMethod, payment::CancelReason};

use super::{
    Effects, backoff,
    credits::{self, Spending},
};
use crate::{
    Fault,
    outbox::{Done, Task},
};

/// Attempts that came to nothing before any bank was asked, after which a person has to look; after their word as many again.
const ROUNDS: u32 = 20;

fn rounds(task: &Task) -> u32 {
    ROUNDS.saturating_mul(u32::try_from(task.resumed).unwrap_or_default().saturating_add(1))
}
/// How soon a charge that is under way is looked at again: to see that it ended, not to make it go on.
const SOON: Duration = Duration::from_secs(60);
/// The same for a bank debit, which takes days.
const SLOWLY: Duration = Duration::from_secs(3600);

/// An invoice that can be charged, and where it stands.
struct Due {
    invoice: Invoice,
    details: Details,
    autopay_id: AutopayId,
    autopay: Autopay,
    balance: Money,
    moment: DateTime<Utc>,
}

impl Due {
    /// `None` when there is nothing to collect.
    async fn look(effects: &Effects, task: &Task, id: InvoiceId) -> Result<Option<Self>, Fault> {
        let (engine, organization) = (&effects.engine, task.organization);
        let invoice: Invoice = engine.state(organization, id.0).await?;
        let (Some(terms), Some(content)) = (invoice.terms, &invoice.content) else { return Ok(None) };
        let Ok(balance) = invoice.balance() else { return Ok(None) };
        if invoice.phase != invoice::Phase::Published || invoice.written_off.is_some() || !balance.is_positive() {
            return Ok(None);
        }
        // Whoever left, or was forgotten, gave no word for charges from then on, and would not hear of them.
        let resident: Resident = engine.state(organization, terms.resident.0).await?;
        if !resident.is_active() || !resident.lives_in(terms.unit) {
            return Ok(None);
        }
        let property: Property = engine.state(organization, terms.property.0).await?;
        let Some(details) = property.details else { return Ok(None) };
        let moment = terms.time_zone.at_hour(content.due_on, details.billing.charge_hour);
        let autopay_id = Autopay::id(terms.property, terms.resident);
        let autopay = engine.state(organization, autopay_id.0).await?;
        Ok(Some(Self { invoice, details, autopay_id, autopay, balance, moment }))
    }
}

/// The timer of an invoice: at its due moment the whole balance is charged, if autopay is on then.
pub async fn when_due(effects: &Effects, task: &Task, id: InvoiceId) -> Result<Done, Fault> {
    let Some(due) = Due::look(effects, task, id).await? else { return Ok(Done::Finished) };
    if effects.engine.clock().now() < due.moment {
        return Ok(Done::At { when: due.moment, why: "not due yet" });
    }
    if let Some(done) = under_way(effects, task, &due).await? {
        return Ok(done);
    }
    if let Some(done) = wait_for_others(effects, task, id, &due).await? {
        return Ok(done);
    }
    let (autopay_id, due_on) = (due.autopay_id, due_on(&due));
    match due.autopay.may_charge(id, due.balance, effects.engine.clock().now()) {
        Verdict::No(NoCharge::InFlight(_)) => {
            Ok(Done::Later { after: SOON, why: "another charge is under way".to_owned() })
        }
        // A retry has a timer of its own.
        Verdict::No(NoCharge::NotEnabled | NoCharge::Charged | NoCharge::PresentedTooOften)
        | Verdict::Wait { until: Some(_), .. } => Ok(Done::Finished),
        Verdict::Wait { until: None, .. } => {
            decided(effects, task, DeferCharge { autopay_id, invoice_id: id, due_on }).await
        }
        Verdict::Ask { .. } => {
            decided(effects, task, HoldCharge { autopay_id, invoice_id: id, due_on, amount: due.balance }).await
        }
        Verdict::Charge { account, method, .. } if due.details.stripe_account != Some(account) => {
            move_on(effects, task, id, &due, method).await
        }
        Verdict::Charge { method, .. } => start(effects, task, id, &due, method).await,
    }
}

/// The property takes its payments in another Stripe account now, where the method is not known: the resident is asked for a new one,
/// and the invoice waits for it.
async fn move_on(
    effects: &Effects,
    task: &Task,
    id: InvoiceId,
    due: &Due,
    method: &AutopayMethod,
) -> Result<Done, Fault> {
    let (autopay_id, payment_method) = (due.autopay_id, method.payment_method.clone());
    let lost = LoseMethod { autopay_id, payment_method, because: Loss::AccountChanged };
    effects.engine.execute(lost, &effects.ask(task)).await?;
    decided(effects, task, DeferCharge { autopay_id, invoice_id: id, due_on: due_on(due) }).await
}

/// Has the enrollment note what was seen. What is refused has changed since the look: silence would lose the invoice.
async fn decided(effects: &Effects, task: &Task, command: impl Command) -> Result<Done, Fault> {
    match effects.engine.execute(command, &effects.ask(task)).await {
        Ok(_) => Ok(Done::Finished),
        Err(Fault::Refused { message, .. }) => Ok(Done::Again { after: backoff(task.attempts), why: message }),
        Err(fault) => Err(fault),
    }
}

/// The timer of a retry: the failed invoice is charged again, if it still waits for this retry.
pub async fn retry(effects: &Effects, task: &Task, id: InvoiceId, attempt: u32) -> Result<Done, Fault> {
    // Settled meanwhile: the pause must not outlast what it was for.
    let Some(due) = Due::look(effects, task, id).await? else { return release(effects, task, id).await };
    if let Some(done) = under_way(effects, task, &due).await? {
        return Ok(done);
    }
    // Something else became of it: paid, cancelled, a new method, another retry.
    let expected = due.autopay.next_retry().filter(|(invoice, retry)| *invoice == id && retry.attempt == attempt);
    let Some((_, expected)) = expected else {
        // Its charge came to nothing, and the enrollment has yet to hear of it.
        if due.autopay.in_flight(id).is_some() {
            return Ok(Done::Later { after: SOON, why: "the charge is under way".to_owned() });
        }
        // It came to nothing while the pause ended by itself: it is charged as any other that is due.
        if last(effects, task, &due).await?.1.is_some() && due.autopay.pause().is_none() {
            return when_due(effects, task, id).await;
        }
        return Ok(Done::Finished);
    };
    if effects.engine.clock().now() < expected.at {
        return Ok(Done::At { when: expected.at, why: "not yet time to try again" });
    }
    if let Some(done) = wait_for_others(effects, task, id, &due).await? {
        return Ok(done);
    }
    match due.autopay.may_charge(id, due.balance, effects.engine.clock().now()) {
        Verdict::Charge { account, method, .. } if due.details.stripe_account != Some(account) => {
            move_on(effects, task, id, &due, method).await
        }
        Verdict::Charge { method, .. } => start(effects, task, id, &due, method).await,
        Verdict::Ask { .. } => {
            let (autopay_id, due_on) = (due.autopay_id, due_on(&due));
            decided(effects, task, HoldCharge { autopay_id, invoice_id: id, due_on, amount: due.balance }).await
        }
        Verdict::Wait { .. } | Verdict::No(_) => Ok(Done::Finished),
    }
}

fn due_on(due: &Due) -> chrono::NaiveDate {
    due.invoice.content.as_ref().map(|content| content.due_on).unwrap_or_default()
}

/// The payment of a round follows from the task, so that a crash never makes a second one.
fn payment_of(task: &Task, due: &Due, round: u32) -> PaymentId {
    PaymentId::derived(due.autopay_id.0, &format!("{}/{round}", task.key))
}

/// What the task itself has begun: looked at until it is over.
async fn under_way(effects: &Effects, task: &Task, due: &Due) -> Result<Option<Done>, Fault> {
    Ok(last(effects, task, due).await?.1.and_then(|payment| stands(&payment)))
}

/// What is left to do while a payment stands; `None` when it came to nothing.
fn stands(payment: &Payment) -> Option<Done> {
    match payment.phase {
        Phase::Succeeded | Phase::Quarantined => Some(Done::Finished),
        // Declined: the enrollment says what follows. Anything else came to nothing, and is begun anew.
        Phase::Canceled => {
            matches!(payment.cancellation, Some(CancelReason::Declined { .. })).then_some(Done::Finished)
        }
        Phase::Processing => Some(Done::Later { after: SLOWLY, why: "the bank is at work".to_owned() }),
        _ => Some(Done::Later { after: SOON, why: "the charge is under way".to_owned() }),
    }
}

/// The last round that was begun, if any.
async fn last(effects: &Effects, task: &Task, due: &Due) -> Result<(u32, Option<Payment>), Fault> {
    let mut found = (0, None);
    for round in 0..rounds(task) {
        let payment: Payment = effects.engine.state(task.organization, payment_of(task, due, round).0).await?;
        if payment.phase == Phase::None {
            break;
        }
        found = (round, Some(payment));
    }
    Ok(found)
}

/// Whether something else has to end first: a payment by hand, credit on its way, an account that takes no money.
async fn wait_for_others(effects: &Effects, task: &Task, id: InvoiceId, due: &Due) -> Result<Option<Done>, Fault> {
    if due.invoice.claim.is_some() {
        let why = "another payment is in flight".to_owned();
        return Ok(Some(Done::Later { after: SOON, why }));
    }
    if !due.autopay.is_enrolled() {
        return Ok(None);
    }
    let account: StripeAccount = match due.details.stripe_account {
        Some(id) => effects.engine.state(task.organization, id.0).await?,
        None => StripeAccount::default(),
    };
    if !account.takes_payments() {
        let why = "held: the property's Stripe account takes no payments at the moment".to_owned();
        return Ok(Some(Done::Later { after: SOON, why }));
    }
    // Credit goes first; charging while it is on its way would charge its part too.
    Ok(match credits::spend(effects, task, id, &due.invoice, due.balance).await? {
        Spending::Nothing => None,
        Spending::OnItsWay => {
            Some(Done::Again { after: backoff(task.attempts), why: "credit is being applied".to_owned() })
        }
    })
}

async fn start(
    effects: &Effects,
    task: &Task,
    id: InvoiceId,
    due: &Due,
    method: &AutopayMethod,
) -> Result<Done, Fault> {
    let round = match last(effects, task, due).await? {
        (_, None) => 0,
        (round, Some(payment)) => match stands(&payment) {
            // Another worker that believes it has the task was here since the look.
            Some(done) => return Ok(done),
            None => round + 1,
        },
    };
    if round >= rounds(task) {
        let why = "the charge could not be begun; see the payments of the invoice, then have it tried again";
        return Ok(Done::Unresolved(why.to_owned()));
    }
    let command = StartAutopayPayment {
        payment_id: payment_of(task, due, round),
        autopay_id: due.autopay_id,
        invoice_id: id,
        amount: due.balance,
        kind: method.kind,
        funding: method.card.as_ref().map(|card| card.funding.clone()),
    };
    effects.pace.spend();
    match effects.engine.execute(command, &effects.ask(task)).await {
        Ok(_) => Ok(Done::Later { after: SOON, why: "the charge is under way".to_owned() }),
        // Things moved since the look: look again.
        Err(Fault::Refused { message, .. }) => Ok(Done::Again { after: backoff(task.attempts), why: message }),
        Err(fault) => Err(fault),
    }
}

/// An invoice was settled in another way: autopay does not wait for it any more.
pub async fn release(effects: &Effects, task: &Task, id: InvoiceId) -> Result<Done, Fault> {
    let invoice: Invoice = effects.engine.state(task.organization, id.0).await?;
    let Some(terms) = invoice.terms else { return Ok(Done::Finished) };
    let autopay_id = Autopay::id(terms.property, terms.resident);
    let autopay: Autopay = effects.engine.state(task.organization, autopay_id.0).await?;
    if autopay.exists() {
        effects.engine.execute(ReleaseInvoice { autopay_id, invoice_id: id }, &effects.ask(task)).await?;
    }
    Ok(Done::Finished)
}
