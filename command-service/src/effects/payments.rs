//! Payments at Stripe: created once under their key, watched until they end, canceled only by Stripe's own word.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use domain::{
    Autopay, Payment,
    autopay::{AuthorizeCharge, LoseMethod, Loss, WithdrawCharge},
    fees,
    invoice::ReleasePayment,
    payment::{
        AbandonPayment, FailPreview, IntentDecline, IntentState, OffSession, Phase, Quoted, RecordIntent,
        RecordPaymentUnknown, RecordPreview, Settlement, SubmitPayment,
    },
};
use events::{
    OrganizationId, PaymentId,
    invoice::ReleaseReason,
    payment::{CancelReason, FrozenIntent, UnknownCause},
};
use processes::ports::{IntentMethod, IntentSnapshot, IntentStatus, Outcome, PaymentTags};

use uuid::Uuid;

use super::{
    ABSENT, ACCOUNT_UNAVAILABLE, Effects, KEY_HOLDS, KEY_REUSED, PLATFORM_KEY_REFUSED,
    accounts::{Access, access},
    backoff, repeats_its_failure, unknown,
};
use crate::{
    Ask, Fault,
    outbox::{Done, Task},
    quarantine,
};

/// Stripe's codes for a method that was detached or deleted, or whose mandate ended.
const METHOD_GONE: &[&str] = &[
    "payment_method_unexpected_state",
    "resource_missing",
    "payment_intent_mandate_invalid",
    "payment_method_not_available",
];

/// What went on at Stripe meanwhile is seen once the account is connected again.
const fn disconnected(why: String) -> Done {
    Done::Later { after: Duration::from_secs(3600), why }
}

/// How soon a charge is tried again that Stripe let nobody make, and one of which nothing can be seen.
const HELD: Duration = Duration::from_secs(60);
const UNSEEN: Duration = Duration::from_secs(900);

fn no_access(code: &str) -> bool {
    matches!(code, ACCOUNT_UNAVAILABLE | PLATFORM_KEY_REFUSED)
}

/// After so long without access, a call that was not answered is left to a person.
const OUT_OF_SIGHT: TimeDelta = TimeDelta::days(1);

/// After so long, what Stripe kept of a payment does not become known by itself: an account that settles in another currency, say.
const BOOKED: TimeDelta = TimeDelta::days(7);

/// How long a resident may take to complete a payment.
const PATIENCE: TimeDelta = TimeDelta::minutes(60);

/// Commits the intent, calls Stripe, merges the answer. Repeating any part is harmless.
pub async fn submit(effects: &Effects, task: &Task, id: PaymentId) -> Result<Done, Fault> {
    let ask = effects.ask(task);
    let requested: Payment = effects.engine.state(task.organization, id.0).await?;
    let off_session = match &requested.quote {
        Some(quote) if requested.phase == Phase::Requested && quote.autopay.is_some() => {
            match authorize(effects, &ask, id, quote).await? {
                Ok(method) => Some(method),
                Err(why) => {
                    abandon(effects, &ask, id, CancelReason::NotAuthorized { why }).await?;
                    return Ok(Done::Finished);
                }
            }
        }
        _ => None,
    };
    match effects.engine.execute(SubmitPayment { payment_id: id, off_session }, &ask).await {
        Ok(_) => {}
        // The account was disconnected meanwhile.
        Err(Fault::Refused { code, .. }) => {
            abandon(effects, &ask, id, CancelReason::Rejected { code: code.to_owned() }).await?;
            return Ok(Done::Finished);
        }
        Err(fault) => return Err(fault),
    }
    let payment: Payment = effects.engine.state(task.organization, id.0).await?;
    let Some(quote) = &payment.quote else { return Ok(Done::Finished) };
    let Some(request) = &payment.request else {
        // Given up before the claim came to stand: nobody else would end it.
        let (invoice_id, reason) = (quote.invoice, ReleaseReason::Canceled);
        effects.engine.execute(ReleasePayment { invoice_id, payment_id: id, reason }, &ask).await?;
        // It may have been authorized a moment after its end.
        if let Some(autopay_id) = quote.autopay {
            let autopay: Autopay = effects.engine.state(task.organization, autopay_id.0).await?;
            if autopay.charge(id).is_some() {
                effects.engine.execute(WithdrawCharge { autopay_id, payment_id: id }, &ask).await?;
            }
        }
        return Ok(Done::Finished);
    };
    if payment.phase != Phase::Submitting {
        return Ok(Done::Finished);
    }
    let first = effects.calling(task).await?;
    if let Some(done) = made_before_a_restore(effects, task, &ask, id, request).await? {
        return Ok(done);
    }
    let tags = PaymentTags { organization: task.organization.0, payment: id.0, invoice: quote.invoice.0 };
    let stripe = &effects.providers.stripe;
    let created = if Utc::now() - first < KEY_HOLDS {
        Some(stripe.create_intent(request, &method(request), &tags).await)
    } else {
        None
    };
    // A refusal says nothing of an earlier call that was not answered.
    let doubtful = |outcome: &Outcome<IntentSnapshot>| {
        repeats_its_failure(outcome, task)
            || matches!(outcome, Outcome::Refused(refused) if task.interrupted && refused.code != KEY_REUSED)
    };
    let outcome = if let Some(outcome) = created.filter(|outcome| !doubtful(outcome)) {
        outcome
    } else {
        // The key may be forgotten by now, so creating could create a second one; or it only brings back a failure. Look.
        match stripe.find_payment_intent(&request.account, id.0, first).await {
            Outcome::Done(Some(snapshot)) => Outcome::Done(snapshot),
            // What is charged without the resident may still be at work there. Anything else that shows up later is never paid:
            // nobody was given its secret.
            Outcome::Done(None) if method(request).charges_at_once() && Utc::now() - first < ABSENT => {
                let why = "stripe does not show the charge; it may still be at work".to_owned();
                return Ok(Done::Unsure { after: backoff(task.attempts), why });
            }
            // Without access nothing can be seen; the claim stays, so nothing else is charged meanwhile. People see that it is so, and
            // after a day it is theirs.
            Outcome::Refused(refused) if task.interrupted && no_access(&refused.code) => {
                access(effects, task, quote.account).await?;
                let cause = UnknownCause::Interrupted;
                effects.engine.execute(RecordPaymentUnknown { payment_id: id, cause }, &ask).await?;
                if Utc::now() - first > OUT_OF_SIGHT {
                    let why =
                        format!("an unanswered call may have charged, and stripe lets nobody look: {}", refused.why);
                    return Ok(Done::Unresolved(why));
                }
                return Ok(Done::Unsure { after: UNSEEN, why: refused.why });
            }
            Outcome::Refused(refused) if task.interrupted => {
                let why = format!("an unanswered call may have charged, and stripe does not show it: {}", refused.why);
                return Ok(Done::Unresolved(why));
            }
            Outcome::Done(None) => {
                abandon(effects, &ask, id, CancelReason::Rejected { code: "not_found_at_stripe".to_owned() }).await?;
                return Ok(Done::Finished);
            }
            Outcome::Refused(refused) => Outcome::Refused(refused),
            Outcome::Retry { after, why } => Outcome::Retry { after, why },
            Outcome::Unknown { cause, why } => Outcome::Unknown { cause, why },
        }
    };
    match outcome {
        Outcome::Done(snapshot) => {
            remember(effects, task.organization, id, &snapshot.id).await?;
            record_snapshot(effects, &ask, id, &request.account, snapshot).await?;
            Ok(Done::Finished)
        }
        Outcome::Refused(refused) if refused.code == KEY_REUSED => {
            Ok(Done::Unresolved(format!("stripe refused the repeated key: {}", refused.why)))
        }
        // No bank was asked: the charge is held rather than begun again and again.
        Outcome::Refused(refused) if quote.autopay.is_some() && no_access(&refused.code) => {
            match access(effects, task, quote.account).await? {
                Access::KeyRefused | Access::Unclear => {
                    tracing::error!(why = refused.why, "stripe refuses our access; charges by autopay wait");
                    return Ok(Done::Again { after: backoff(task.attempts).max(HELD), why: refused.why });
                }
                Access::Lost | Access::Open => {}
            }
            abandon(effects, &ask, id, CancelReason::Rejected { code: refused.code }).await?;
            Ok(Done::Finished)
        }
        Outcome::Refused(refused) => {
            // The notice that the method is gone was lost: without this, autopay would try it again and again.
            if let (Some(autopay_id), Some(method)) = (quote.autopay, &request.payment_method)
                && METHOD_GONE.contains(&refused.code.as_str())
            {
                let command = LoseMethod { autopay_id, payment_method: method.clone(), because: Loss::Removed };
                effects.engine.execute(command, &ask).await?;
            }
            abandon(effects, &ask, id, CancelReason::Rejected { code: refused.code }).await?;
            Ok(Done::Finished)
        }
        Outcome::Retry { after, why } => Ok(Done::Again { after: after.max(backoff(task.attempts)), why }),
        Outcome::Unknown { cause, why } => {
            effects.engine.execute(RecordPaymentUnknown { payment_id: id, cause }, &ask).await?;
            Ok(Done::Unsure { after: backoff(task.attempts), why: unknown(cause, &why) })
        }
    }
}

/// A charge whose making a restored history has lost: its key may be forgotten at Stripe by now, so it is looked for first.
async fn made_before_a_restore(
    effects: &Effects,
    task: &Task,
    ask: &Ask,
    id: PaymentId,
    request: &FrozenIntent,
) -> Result<Option<Done>, Fault> {
    let Some(customer) = request.customer.as_ref().filter(|_| !task.interrupted) else { return Ok(None) };
    let Some(since) = quarantine::in_doubt_since(effects.engine.store().pool()).await? else { return Ok(None) };
    let stripe = &effects.providers.stripe;
    match stripe.find_customers_intent(&request.account, customer, id.0, since).await {
        Outcome::Done(Some(snapshot)) => {
            remember(effects, task.organization, id, &snapshot.id).await?;
            record_snapshot(effects, ask, id, &request.account, snapshot).await?;
            Ok(Some(Done::Finished))
        }
        // A refusal says the same of the charge itself, and is dealt with there.
        Outcome::Done(None) | Outcome::Refused(_) => Ok(None),
        Outcome::Retry { after, why } => Ok(Some(Done::Again { after: after.max(backoff(task.attempts)), why })),
        Outcome::Unknown { cause, why } => {
            Ok(Some(Done::Again { after: backoff(task.attempts), why: unknown(cause, &why) }))
        }
    }
}

/// With what Stripe is to create the PaymentIntent: as frozen.
fn method(request: &FrozenIntent) -> IntentMethod {
    let kind = request.kind;
    match (&request.payment_method, &request.customer, &request.confirmation_token) {
        (Some(method), Some(customer), _) => {
            IntentMethod::OffSession { kind, customer: customer.clone(), method: method.clone(), mandate: None }
        }
        (_, _, Some(token)) => IntentMethod::Token { kind, token: token.clone(), customer: request.customer.clone() },
        _ => IntentMethod::Form { kind, customer: request.customer.clone() },
    }
}

/// The enrollment's word that its method may be charged this once; a cancel that came first wins.
async fn authorize(
    effects: &Effects,
    ask: &Ask,
    id: PaymentId,
    quote: &Quoted,
) -> Result<Result<OffSession, String>, Fault> {
    let Some(autopay_id) = quote.autopay else { return Ok(Err("not a charge by autopay".to_owned())) };
    let organization = ask.organization;
    let invoice: domain::Invoice = effects.engine.state(organization, quote.invoice.0).await?;
    let Some(due_on) = invoice.content.map(|content| content.due_on) else {
        return Ok(Err("there is no such invoice".to_owned()));
    };
    let autopay: Autopay = effects.engine.state(organization, autopay_id.0).await?;
    // The fee was worked out for the method of a moment ago: a debit card bears none.
    let property: domain::Property = effects.engine.state(organization, quote.property.0).await?;
    let price = property.details.zip(autopay.method()).and_then(|(details, method)| {
        let funding = method.card.as_ref().map(|card| card.funding.as_str());
        fees::quote(&details.terms(effects.engine.clock().now()), method.kind, funding, quote.amount).ok()
    });
    if autopay.charge(id).is_none() && price.is_none_or(|price| price.total != quote.total) {
        return Ok(Err("the price has changed since the charge was begun".to_owned()));
    }
    // What was authorized before a crash keeps its number.
    let attempt = match (autopay.charge(id), autopay.next_retry()) {
        (Some(charge), _) => charge.attempt,
        (None, Some((invoice, retry))) if invoice == quote.invoice => retry.attempt,
        (None, _) => 0,
    };
    let command = AuthorizeCharge {
        autopay_id,
        payment_id: id,
        invoice_id: quote.invoice,
        due_on,
        amount: quote.amount,
        attempt,
        // The one that was priced: another may have been activated this moment.
        payment_method: autopay
            .method()
            .filter(|_| autopay.charge(id).is_none())
            .map(|method| method.payment_method.clone()),
    };
    match effects.engine.execute(command, ask).await {
        Ok(_) => {}
        Err(Fault::Refused { message, .. }) => return Ok(Err(message)),
        Err(fault) => return Err(fault),
    }
    let autopay: Autopay = effects.engine.state(organization, autopay_id.0).await?;
    Ok(match autopay.charge(id).filter(|charge| charge.end.is_none()) {
        Some(charge) => {
            Ok(OffSession { customer: charge.customer.clone(), payment_method: charge.payment_method.clone() })
        }
        // It ended before: this payment must not be made.
        None => Err("the charge is not authorized any more".to_owned()),
    })
}

async fn abandon(effects: &Effects, ask: &Ask, id: PaymentId, reason: CancelReason) -> Result<(), Fault> {
    effects.engine.execute(AbandonPayment { payment_id: id, reason }, ask).await.map(|_| ())
}

/// Which of our payments a PaymentIntent belongs to, for webhooks.
pub async fn remember(
    effects: &Effects,
    organization: OrganizationId,
    id: PaymentId,
    intent: &str,
) -> Result<(), Fault> {
    remember_as(effects, organization, "payment", id.0, intent).await
}

/// Which stream an object of Stripe's belongs to.
pub async fn remember_as(
    effects: &Effects,
    organization: OrganizationId,
    stream: &str,
    id: Uuid,
    external: &str,
) -> Result<(), Fault> {
    sqlx::query(
        "insert into engine.provider_objects (provider, external_id, organization_id, aggregate_type, aggregate_id)
         values ('stripe', $1, $2, $3, $4) on conflict do nothing",
    )
    .bind(external)
    .bind(organization.0)
    .bind(stream)
    .bind(id)
    .execute(effects.engine.store().pool())
    .await?;
    Ok(())
}

/// Merges what Stripe says of a PaymentIntent into the payment.
pub async fn record_snapshot(
    effects: &Effects,
    ask: &Ask,
    id: PaymentId,
    account: &str,
    snapshot: IntentSnapshot,
) -> Result<(), Fault> {
    let state = match snapshot.status {
        IntentStatus::Succeeded => IntentState::Succeeded,
        IntentStatus::Processing => IntentState::Processing,
        IntentStatus::RequiresAction => IntentState::ActionRequired,
        IntentStatus::Canceled => IntentState::Canceled,
        IntentStatus::RequiresPaymentMethod
        | IntentStatus::RequiresConfirmation
        | IntentStatus::RequiresCapture
        | IntentStatus::Unrecognized => IntentState::AwaitingMethod,
    };
    let command = RecordIntent {
        payment_id: id,
        account: account.to_owned(),
        intent: snapshot.id,
        client_secret: snapshot.client_secret,
        state,
        amount: snapshot.amount,
        amount_received: snapshot.amount_received,
        currency: snapshot.currency,
        charge: snapshot.charge,
        card: snapshot.card,
        bank: snapshot.bank,
        settlement: snapshot.booked.map(|booked| Settlement {
            balance_transaction: booked.id,
            fee: booked.fee,
            net: booked.net,
            currency: booked.currency,
            available_at: Some(booked.available_on),
        }),
        decline: snapshot.decline.map(|decline| IntentDecline {
            code: decline.code,
            decline_code: decline.decline_code,
            advice: decline.advice,
        }),
    };
    // Boxed: whoever waits for it would carry the whole report around.
    Box::pin(effects.engine.execute(command, ask)).await.map(|_| ())
}

/// The payment's frozen request and intent, while it is open at Stripe.
async fn open_at_stripe(
    effects: &Effects,
    task: &Task,
    id: PaymentId,
) -> Result<Option<(Payment, FrozenIntent, String)>, Fault> {
    let payment: Payment = effects.engine.state(task.organization, id.0).await?;
    if !payment.holds_claim() {
        return Ok(None);
    }
    let (Some(request), Some(intent)) = (payment.request.clone(), payment.intent.clone()) else { return Ok(None) };
    Ok(Some((payment, request, intent)))
}

/// Re-reads an open PaymentIntent now and then: webhooks may be lost. One that is not completed in time is canceled.
pub async fn watch(effects: &Effects, task: &Task, id: PaymentId) -> Result<Done, Fault> {
    let Some((payment, request, intent)) = open_at_stripe(effects, task, id).await? else {
        // What a person named was never seen here: without this, refunds and disputes of it would not find their way.
        let payment: Payment = effects.engine.state(task.organization, id.0).await?;
        if let (Some(true), Some(intent)) = (payment.resolved, &payment.intent) {
            remember(effects, task.organization, id, intent).await?;
        }
        return Ok(Done::Finished);
    };
    let ask = effects.ask(task);
    let first = effects.calling(task).await?;
    match effects.providers.stripe.payment_intent(&request.account, &intent).await {
        Outcome::Done(snapshot) => {
            let open = !matches!(snapshot.status, IntentStatus::Succeeded | IntentStatus::Canceled);
            let processing = snapshot.status == IntentStatus::Processing;
            record_snapshot(effects, &ask, id, &request.account, snapshot).await?;
            if !open {
                return Ok(Done::Finished);
            }
            let late = payment.quote.is_some_and(|quote| effects.engine.clock().now() > quote.expires_at + PATIENCE);
            if late && !processing {
                abandon(effects, &ask, id, CancelReason::Expired).await?;
            }
            // Close at first, hourly later: a webhook normally comes within seconds.
            let age = (Utc::now() - first).to_std().unwrap_or_default();
            let after = age.clamp(Duration::from_secs(30), Duration::from_secs(3600));
            Ok(Done::Later { after, why: "still open".to_owned() })
        }
        Outcome::Refused(refused) if no_access(&refused.code) => Ok(disconnected(refused.why)),
        Outcome::Refused(refused) => Ok(Done::Unresolved(format!("stripe does not show the payment: {}", refused.why))),
        Outcome::Retry { after, why } => Ok(Done::Again { after: after.max(backoff(task.attempts)), why }),
        Outcome::Unknown { cause, why } => Ok(Done::Again { after: backoff(task.attempts), why: unknown(cause, &why) }),
    }
}

/// Asks Stripe to cancel. If the money came first, that is what is recorded.
pub async fn cancel(effects: &Effects, task: &Task, id: PaymentId) -> Result<Done, Fault> {
    let payment: Payment = effects.engine.state(task.organization, id.0).await?;
    if payment.phase == Phase::Submitting {
        // Its PaymentIntent may or may not exist: the submission finds out first.
        return Ok(Done::Again { after: backoff(task.attempts), why: "waiting for the submission".to_owned() });
    }
    let Some((_, request, intent)) = open_at_stripe(effects, task, id).await? else { return Ok(Done::Finished) };
    let ask = effects.ask(task);
    effects.calling(task).await?;
    let stripe = &effects.providers.stripe;
    // Stripe repeats a refusal under the same key. Canceling twice is harmless, so each attempt has a key of its own.
    let key = format!("cancel:{}:{}", task.causation, task.attempts);
    let outcome = match stripe.cancel_payment_intent(&request.account, &intent, &key).await {
        // Not cancelable: see why.
        Outcome::Refused(_) => stripe.payment_intent(&request.account, &intent).await,
        other => other,
    };
    match outcome {
        Outcome::Done(snapshot) => {
            let settled = matches!(snapshot.status, IntentStatus::Succeeded | IntentStatus::Canceled);
            record_snapshot(effects, &ask, id, &request.account, snapshot).await?;
            if settled {
                Ok(Done::Finished)
            } else {
                Ok(Done::Again { after: backoff(task.attempts), why: "stripe has not canceled it yet".to_owned() })
            }
        }
        Outcome::Refused(refused) if no_access(&refused.code) => Ok(disconnected(refused.why)),
        Outcome::Refused(refused) => Ok(Done::Unresolved(format!("stripe does not show the payment: {}", refused.why))),
        Outcome::Retry { after, why } => Ok(Done::Again { after: after.max(backoff(task.attempts)), why }),
        Outcome::Unknown { cause, why } => Ok(Done::Again { after: backoff(task.attempts), why: unknown(cause, &why) }),
    }
}

/// Finds out what a resident showed to pay with; what it costs follows from that.
pub async fn preview(effects: &Effects, task: &Task, id: PaymentId) -> Result<Done, Fault> {
    let payment: Payment = effects.engine.state(task.organization, id.0).await?;
    let (Some(preview), Some(token)) = (payment.preview, payment.confirmation_token) else { return Ok(Done::Finished) };
    if payment.phase != Phase::Previewing {
        return Ok(Done::Finished);
    }
    let ask = effects.ask(task);
    let account: domain::StripeAccount = effects.engine.state(task.organization, preview.account.0).await?;
    let fail = async |code: &str| -> Result<Done, Fault> {
        effects.engine.execute(FailPreview { payment_id: id, code: code.to_owned() }, &ask).await?;
        Ok(Done::Finished)
    };
    let Some(account) = account.external() else { return fail("stripe_account_not_ready").await };
    effects.calling(task).await?;
    match effects.providers.stripe.confirmation_token(account, &token).await {
        Outcome::Done(token) if !token.usable(effects.engine.clock().now()) => {
            fail(if token.used { "confirmation_token_used" } else { "confirmation_token_expired" }).await
        }
        Outcome::Done(token) => {
            let Some(kind) = token.kind else { return fail("payment_method_not_offered").await };
            let funding = token.card.as_ref().map(|card| card.funding.clone());
            let command = RecordPreview { payment_id: id, kind, funding, card: token.card, bank: token.bank };
            match effects.engine.execute(command, &ask).await {
                Ok(_) => Ok(Done::Finished),
                // The invoice or the account changed meanwhile.
                Err(Fault::Refused { code, .. }) => fail(code).await,
                Err(fault) => Err(fault),
            }
        }
        Outcome::Refused(refused) => fail(&refused.code).await,
        Outcome::Retry { after, why } => Ok(Done::Again { after: after.max(backoff(task.attempts)), why }),
        Outcome::Unknown { cause, why } => Ok(Done::Again { after: backoff(task.attempts), why: unknown(cause, &why) }),
    }
}

/// What Stripe kept is in the balance transaction, which may come after the success.
pub async fn settlement(effects: &Effects, task: &Task, id: PaymentId) -> Result<Done, Fault> {
    let payment: Payment = effects.engine.state(task.organization, id.0).await?;
    if payment.settled || payment.phase != Phase::Succeeded {
        return Ok(Done::Finished);
    }
    let (Some(request), Some(intent)) = (&payment.request, &payment.intent) else { return Ok(Done::Finished) };
    let first = effects.calling(task).await?;
    match effects.providers.stripe.payment_intent(&request.account, intent).await {
        Outcome::Done(snapshot) => {
            record_snapshot(effects, &effects.ask(task), id, &request.account, snapshot).await?;
            let payment: Payment = effects.engine.state(task.organization, id.0).await?;
            if payment.settled {
                return Ok(Done::Finished);
            }
            if Utc::now() - first > BOOKED {
                let why = "stripe has booked it in another currency or amount than was charged, or not at all; the payment's fee is not \
                           in the ledger";
                return Ok(Done::Unresolved(why.to_owned()));
            }
            let why = "stripe has not booked it yet".to_owned();
            Ok(Done::Later { after: Duration::from_secs(3600), why })
        }
        Outcome::Refused(refused) if no_access(&refused.code) => Ok(disconnected(refused.why)),
        Outcome::Refused(refused) => Ok(Done::Unresolved(format!("stripe does not show the payment: {}", refused.why))),
        Outcome::Retry { after, why } => Ok(Done::Again { after: after.max(backoff(task.attempts)), why }),
        Outcome::Unknown { cause, why } => Ok(Done::Again { after: backoff(task.attempts), why: unknown(cause, &why) }),
    }
}
