//! Setting a method up for autopay at Stripe, looking after it, and having it forgotten.

use std::{collections::BTreeMap, time::Duration};

use chrono::Utc;
use domain::{
    Autopay, Resident,
    autopay::{CancelAutopay, FailSetup, RecordSetup, SetupState},
};
use events::{AutopayEvent, AutopayId, OrganizationId, ResidentId, SetupId, autopay::AutopayMethod};
use processes::ports::{self, CustomerTags, MethodSnapshot, Outcome, SetupRequest, SetupSnapshot, SetupTags};

use super::{Effects, KEY_HOLDS, backoff, payments::remember_as, unknown};
use crate::{
    Ask, Fault,
    outbox::{Done, Task},
};

/// Stripe's code for an object that is not there (any more).
const GONE: &str = "resource_missing";

/// The stream that a SetupIntent, a customer or a method belongs to.
pub const STREAM: &str = "autopay";

/// Creates customer and SetupIntent. No money moves, so a second one after the key's time is harmless.
pub async fn open(effects: &Effects, task: &Task, id: AutopayId, setup: SetupId) -> Result<Done, Fault> {
    let organization = task.organization;
    let autopay: Autopay = effects.engine.state(organization, id.0).await?;
    let pending = autopay.pending_setup().filter(|pending| pending.id == setup && pending.intent.is_none());
    let (Some(pending), Some((property, resident))) = (pending, autopay.owner()) else { return Ok(Done::Finished) };
    let ask = effects.ask(task);
    let account: domain::StripeAccount = effects.engine.state(organization, pending.account.0).await?;
    let Some(account) = account.external().map(str::to_owned) else {
        return fail(effects, &ask, id, setup, "stripe_account_not_ready").await;
    };
    let first = effects.calling(task).await?;
    let stripe = &effects.providers.stripe;
    let tags = CustomerTags { organization: organization.0, resident: resident.0, property: property.0 };
    // One customer per enrollment and account.
    let known = customer_at(effects, organization, id, &account).await?;
    let customer = if let Some(known) = &known {
        known.clone()
    } else {
        match stripe.create_customer(&account, &format!("customer:{id}:{account}"), &tags).await {
            Outcome::Done(customer) => {
                remember_as(effects, organization, STREAM, id.0, &format!("{account}/{customer}")).await?;
                customer
            }
            other => return unfinished(effects, task, &ask, id, setup, other).await,
        }
    };
    let round = if Utc::now() - first < KEY_HOLDS { 0 } else { task.attempts };
    // Another customer is another request, and needs another key.
    let key_of = |customer: &str| format!("setup:{setup}:{round}:{customer}");
    let mut request = SetupRequest {
        account: account.clone(),
        idempotency_key: key_of(&customer),
        customer,
        kind: pending.kind,
        tags: SetupTags { organization: organization.0, enrollment: id.0, setup: setup.0 },
    };
    let mut answer = stripe.create_setup_intent(&request).await;
    // Somebody deleted the customer in Stripe's dashboard: the resident is another one from now on.
    if let (Outcome::Refused(refused), Some(gone)) = (&answer, known)
        && refused.code == GONE
    {
        match stripe.create_customer(&account, &format!("customer:{id}:{account}:after:{gone}"), &tags).await {
            Outcome::Done(customer) => {
                replace_customer(effects, organization, id, &account, &gone, &customer).await?;
                request.idempotency_key = key_of(&customer);
                request.customer = customer;
                answer = stripe.create_setup_intent(&request).await;
            }
            other => return unfinished(effects, task, &ask, id, setup, other).await,
        }
    }
    match answer {
        Outcome::Done(snapshot) => {
            remember_as(effects, organization, STREAM, id.0, &snapshot.id).await?;
            record(effects, &ask, id, setup, &account, snapshot).await?;
            Ok(Done::Finished)
        }
        other => unfinished(effects, task, &ask, id, setup, other).await,
    }
}

/// The customer that the enrollment has in an account already.
async fn customer_at(
    effects: &Effects,
    organization: OrganizationId,
    id: AutopayId,
    account: &str,
) -> Result<Option<String>, sqlx::Error> {
    let known: Option<String> = sqlx::query_scalar(
        "select external_id from engine.provider_objects
         where provider = 'stripe' and aggregate_type = $1 and aggregate_id = $2 and organization_id = $3
             and external_id like $4 order by external_id limit 1",
    )
    .bind(STREAM)
    .bind(id.0)
    .bind(organization.0)
    .bind(format!("{account}/%"))
    .fetch_optional(effects.engine.store().pool())
    .await?;
    Ok(known.and_then(|external| external.split_once('/').map(|(_, customer)| customer.to_owned())))
}

/// The enrollment's customer in an account is another one from now on.
async fn replace_customer(
    effects: &Effects,
    organization: OrganizationId,
    id: AutopayId,
    account: &str,
    gone: &str,
    customer: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update engine.provider_objects set external_id = $1
         where provider = 'stripe' and external_id = $2 and aggregate_type = $3 and aggregate_id = $4
             and organization_id = $5",
    )
    .bind(format!("{account}/{customer}"))
    .bind(format!("{account}/{gone}"))
    .bind(STREAM)
    .bind(id.0)
    .bind(organization.0)
    .execute(effects.engine.store().pool())
    .await
    .map(|_| ())
}

async fn fail(effects: &Effects, ask: &Ask, id: AutopayId, setup: SetupId, code: &str) -> Result<Done, Fault> {
    let command = FailSetup { autopay_id: id, setup_id: setup, code: code.to_owned() };
    effects.engine.execute(command, ask).await?;
    Ok(Done::Finished)
}

async fn unfinished<T: Send>(
    effects: &Effects,
    task: &Task,
    ask: &Ask,
    id: AutopayId,
    setup: SetupId,
    outcome: Outcome<T>,
) -> Result<Done, Fault> {
    match outcome {
        Outcome::Done(_) => Ok(Done::Finished),
        Outcome::Refused(refused) => fail(effects, ask, id, setup, &refused.code).await,
        Outcome::Retry { after, why } => Ok(Done::Again { after: after.max(backoff(task.attempts)), why }),
        Outcome::Unknown { cause, why } => {
            Ok(Done::Unsure { after: backoff(task.attempts), why: unknown(cause, &why) })
        }
    }
}

/// Merges what Stripe says of a SetupIntent into the enrollment.
pub async fn record(
    effects: &Effects,
    ask: &Ask,
    id: AutopayId,
    setup: SetupId,
    account: &str,
    snapshot: SetupSnapshot,
) -> Result<(), Fault> {
    let Some(customer) = snapshot.customer.clone() else { return Ok(()) };
    let refused = snapshot.failure.as_ref().map(|failure| failure.code.clone());
    let state = match snapshot.state {
        ports::SetupState::Succeeded => SetupState::Succeeded,
        ports::SetupState::Canceled => SetupState::Canceled,
        ports::SetupState::MicrodepositsPending => SetupState::Microdeposits,
        ports::SetupState::ActionRequired => SetupState::ActionRequired,
        ports::SetupState::Processing => SetupState::Processing,
        ports::SetupState::AwaitingMethod | ports::SetupState::Unrecognized => SetupState::AwaitingMethod,
    };
    let method = snapshot.method.as_ref().filter(|_| state == SetupState::Succeeded);
    let method = method.and_then(|method| kept(method, &customer, snapshot.mandate.clone()));
    if let Some(method) = &method {
        remember_as(effects, ask.organization, STREAM, id.0, &method.payment_method).await?;
        if let Some(mandate) = &method.mandate {
            remember_as(effects, ask.organization, STREAM, id.0, mandate).await?;
        }
    }
    let command = RecordSetup {
        autopay_id: id,
        setup_id: setup,
        account: account.to_owned(),
        customer,
        setup_intent: snapshot.id,
        client_secret: snapshot.client_secret,
        state,
        method,
        code: refused,
    };
    effects.engine.execute(command, ask).await.map(|_| ())
}

/// What is kept of a method; `None` for a kind that is not offered.
fn kept(method: &MethodSnapshot, customer: &str, mandate: Option<String>) -> Option<AutopayMethod> {
    Some(AutopayMethod {
        payment_method: method.id.clone(),
        customer: method.customer.clone().unwrap_or_else(|| customer.to_owned()),
        kind: method.kind?,
        card: method.card.clone(),
        bank: method.bank.clone(),
        mandate,
    })
}

/// Re-reads an open SetupIntent now and then, until it is over.
pub async fn watch(effects: &Effects, task: &Task, id: AutopayId, setup: SetupId) -> Result<Done, Fault> {
    let autopay: Autopay = effects.engine.state(task.organization, id.0).await?;
    let pending = autopay.pending_setup().filter(|pending| pending.id == setup);
    let open = pending.and_then(|pending| Some((pending.external.as_deref()?, pending.intent.as_deref()?)));
    let Some((account, intent)) = open else { return Ok(Done::Finished) };
    let first = effects.calling(task).await?;
    match effects.providers.stripe.setup_intent(account, intent).await {
        Outcome::Done(snapshot) => {
            record(effects, &effects.ask(task), id, setup, account, snapshot).await?;
            // Small deposits take days; Stripe ends a SetupIntent that nobody completes.
            let age = (Utc::now() - first).to_std().unwrap_or_default();
            let after = age.clamp(Duration::from_secs(30), Duration::from_secs(3600));
            Ok(Done::Later { after, why: "still open".to_owned() })
        }
        Outcome::Refused(refused) => fail(effects, &effects.ask(task), id, setup, &refused.code).await,
        Outcome::Retry { after, why } => Ok(Done::Again { after: after.max(backoff(task.attempts)), why }),
        Outcome::Unknown { cause, why } => Ok(Done::Again { after: backoff(task.attempts), why: unknown(cause, &why) }),
    }
}

/// Has Stripe forget a method, unless autopay uses it again or a charge with it is still on its way.
pub async fn detach(effects: &Effects, task: &Task, id: AutopayId, method: &str) -> Result<Done, Fault> {
    let autopay: Autopay = effects.engine.state(task.organization, id.0).await?;
    if autopay.method().is_some_and(|used| used.payment_method == method) {
        return Ok(Done::Finished);
    }
    if autopay.is_charging(method) {
        return Ok(Done::Later { after: Duration::from_secs(60), why: "a charge with it is on its way".to_owned() });
    }
    let Some(account) = account_of(effects, task, id, method).await? else { return Ok(Done::Finished) };
    effects.calling(task).await?;
    let key = format!("detach:{}:{}", task.causation, task.attempts);
    match effects.providers.stripe.detach_payment_method(&account, method, &key).await {
        // The account may be disconnected: then nobody can charge it any more either.
        Outcome::Done(()) | Outcome::Refused(_) => Ok(Done::Finished),
        Outcome::Retry { after, why } => Ok(Done::Again { after: after.max(backoff(task.attempts)), why }),
        Outcome::Unknown { cause, why } => Ok(Done::Again { after: backoff(task.attempts), why: unknown(cause, &why) }),
    }
}

/// Ends autopay in every property that a resident has left; where they still live, or live again, nothing changes.
pub async fn end(effects: &Effects, task: &Task, id: ResidentId) -> Result<Done, Fault> {
    let resident: Resident = effects.engine.state(task.organization, id.0).await?;
    for property_id in resident.properties().iter().copied() {
        let autopay: Autopay = effects.engine.state(task.organization, Autopay::id(property_id, id).0).await?;
        if autopay.exists() {
            effects.engine.execute(CancelAutopay { property_id, resident_id: id }, &effects.ask(task)).await?;
        }
    }
    Ok(Done::Finished)
}

/// The account in which a method was set up.
async fn account_of(effects: &Effects, task: &Task, id: AutopayId, method: &str) -> Result<Option<String>, Fault> {
    let history = effects.engine.store().load::<domain::Hosted<Autopay>>(task.organization, &id.to_string()).await?;
    let mut accounts = BTreeMap::new();
    for envelope in history {
        match envelope.payload {
            AutopayEvent::AutopaySetupSubmitted { setup_id, account, .. } => {
                accounts.insert(setup_id, account);
            }
            AutopayEvent::AutopayActivated { setup_id, method: activated, .. }
                if activated.payment_method == method =>
            {
                return Ok(accounts.remove(&setup_id));
            }
            _ => {}
        }
    }
    Ok(None)
}
