//! Connected accounts at Stripe: opened once, read when something may have changed.

use domain::{
    StripeAccount,
    stripe_account::{AccountReport, RecordStripeAccount},
};
use events::{StripeAccountEvent, StripeAccountId, stripe_account::StripeAccountStatus};
use processes::ports::{AccountSnapshot, Outcome};

use super::{Effects, backoff, unknown};
use crate::{
    Fault,
    outbox::{Done, Task},
};

/// Asks Stripe for the account; the key makes it one however often it is asked.
pub async fn open(effects: &Effects, task: &Task, id: StripeAccountId) -> Result<Done, Fault> {
    let envelopes =
        effects.engine.store().load::<domain::Hosted<StripeAccount>>(task.organization, &id.to_string()).await?;
    let asked = envelopes.iter().find_map(|envelope| match &envelope.payload {
        StripeAccountEvent::StripeConnectionRequested { name, country } => Some((name.clone(), country.clone())),
        _ => None,
    });
    let Some((name, country)) = asked else { return Ok(Done::Finished) };
    effects.calling(task).await?;
    let key = format!("account:{id}");
    let outcome = effects.providers.stripe.create_account(&key, name.as_str(), &country, id.0).await;
    record(effects, task, id, outcome).await
}

/// Reads the account's present state.
pub async fn read(effects: &Effects, task: &Task, id: StripeAccountId) -> Result<Done, Fault> {
    let account: StripeAccount = effects.engine.state(task.organization, id.0).await?;
    let Some(external) = account.external() else { return Ok(Done::Finished) };
    let outcome = effects.providers.stripe.account(external).await;
    record(effects, task, id, outcome).await
}

async fn record(
    effects: &Effects,
    task: &Task,
    id: StripeAccountId,
    outcome: Outcome<AccountSnapshot>,
) -> Result<Done, Fault> {
    let report = match outcome {
        Outcome::Done(snapshot) => {
            sqlx::query(
                "insert into engine.provider_objects (provider, external_id, organization_id, aggregate_type, aggregate_id)
                 values ('stripe', $1, $2, 'stripe-account', $3) on conflict do nothing",
            )
            .bind(&snapshot.id)
            .bind(task.organization.0)
            .bind(id.0)
            .execute(effects.engine.store().pool())
            .await?;
            AccountReport::Seen { status: status_of(&snapshot), account: snapshot.id }
        }
        Outcome::Refused(refused) => AccountReport::Refused { code: refused.code },
        Outcome::Retry { after, why } => {
            return Ok(Done::Again { after: after.max(backoff(task.attempts)), why });
        }
        Outcome::Unknown { cause, why } => {
            return Ok(Done::Again { after: backoff(task.attempts), why: unknown(cause, &why) });
        }
    };
    effects.engine.execute(RecordStripeAccount { stripe_account_id: id, report }, &effects.ask(task)).await?;
    Ok(Done::Finished)
}

/// The state behind the badge.
pub fn status_of(snapshot: &AccountSnapshot) -> StripeAccountStatus {
    if snapshot.disabled_reason.as_deref().is_some_and(|reason| reason.starts_with("rejected")) {
        StripeAccountStatus::Disabled
    } else if snapshot.charges_enabled && snapshot.payouts_enabled {
        StripeAccountStatus::Active
    } else if !snapshot.details_submitted {
        StripeAccountStatus::OnboardingStarted
    } else if snapshot.requirements_due {
        StripeAccountStatus::Restricted
    } else {
        StripeAccountStatus::PendingVerification
    }
}
