//! Connected accounts at Stripe: opened once, read when something may have changed.

use chrono::Utc;
use domain::{
    StripeAccount,
    stripe_account::{AccountReport, RecordStripeAccount},
};
use events::{StripeAccountEvent, StripeAccountId, stripe_account::StripeAccountStatus};
use processes::ports::{AccountSnapshot, Outcome};

use super::{ACCOUNT_UNAVAILABLE, Effects, KEY_HOLDS, KEY_REUSED, PLATFORM_KEY_REFUSED, backoff, unknown};
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
    let account: StripeAccount = effects.engine.state(task.organization, id.0).await?;
    if account.last_external().is_some() {
        return Ok(Done::Finished);
    }
    let first = effects.calling(task).await?;
    if task.interrupted && Utc::now() - first >= KEY_HOLDS {
        // Stripe may have forgotten the key, and would open another account.
        return Ok(Done::Unresolved("stripe's answer was lost; look in its dashboard for the account".to_owned()));
    }
    // Keys of the platform are shared by all organizations, and ids are chosen by clients.
    let key = format!("account:{}:{id}", task.organization);
    let outcome = effects.providers.stripe.create_account(&key, name.as_str(), &country, id.0).await;
    match outcome {
        Outcome::Refused(refused) if refused.code == KEY_REUSED => {
            Ok(Done::Unresolved(format!("stripe refused the repeated key: {}", refused.why)))
        }
        outcome => record(effects, task, id, outcome).await,
    }
}

/// Reads the account's present state.
pub async fn read(effects: &Effects, task: &Task, id: StripeAccountId) -> Result<Done, Fault> {
    let account: StripeAccount = effects.engine.state(task.organization, id.0).await?;
    let Some(external) = account.external() else { return Ok(Done::Finished) };
    match effects.providers.stripe.account(external).await {
        // Taken into use again without our having access: whoever does so can see it, and do it once more.
        Outcome::Refused(refused) if refused.code == ACCOUNT_UNAVAILABLE => {
            let report = AccountReport::Deauthorized { account: external.to_owned() };
            let command = RecordStripeAccount { stripe_account_id: id, report };
            effects.engine.execute(command, &effects.ask(task)).await?;
            Ok(Done::Refused(format!("stripe does not show the account: {}", refused.why)))
        }
        Outcome::Refused(refused) => Ok(Done::Refused(format!("stripe does not show the account: {}", refused.why))),
        outcome => record(effects, task, id, outcome).await,
    }
}

/// Why Stripe refused access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// The account's owner took it away, which is recorded now: charges wait until it is connected again.
    Lost,
    /// Stripe does not know our own key at the moment: it is nothing about this account.
    KeyRefused,
    /// The account can be seen, as it is recorded now.
    Open,
    /// Stripe did not say.
    Unclear,
}

/// Access was refused: asks Stripe whether it is about the account.
pub(super) async fn access(effects: &Effects, task: &Task, id: StripeAccountId) -> Result<Access, Fault> {
    let account: StripeAccount = effects.engine.state(task.organization, id.0).await?;
    let Some(external) = account.external() else { return Ok(Access::Lost) };
    let (report, access) = match effects.providers.stripe.account(external).await {
        Outcome::Done(snapshot) => {
            (AccountReport::Seen { status: status_of(&snapshot), account: snapshot.id }, Access::Open)
        }
        Outcome::Refused(refused) if refused.code == PLATFORM_KEY_REFUSED => return Ok(Access::KeyRefused),
        Outcome::Refused(_) => (AccountReport::Deauthorized { account: external.to_owned() }, Access::Lost),
        Outcome::Retry { .. } | Outcome::Unknown { .. } => return Ok(Access::Unclear),
    };
    effects.engine.execute(RecordStripeAccount { stripe_account_id: id, report }, &effects.ask(task)).await?;
    Ok(access)
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
            return Ok(Done::Unsure { after: backoff(task.attempts), why: unknown(cause, &why) });
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
