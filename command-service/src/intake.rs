//! Webhooks: verified and stored raw before they are acknowledged, understood later, merged as hints.

use std::time::Duration;

use domain::{
    Actor, EmailMessage, Payment, StripeAccount,
    email::{EmailReport, RecordEmail},
    refund::RefundPhase,
    stripe_account::{AccountReport, RecordStripeAccount},
};
use events::{MessageId, OrganizationId, PaymentId, RefundId, Role, StripeAccountId};
use integrations::{
    resend::webhook::{ResendKind, ResendNotice},
    stripe::webhook::{StripeNotice, StripeObject},
};
use processes::ports::Outcome;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::{
    Ask, Fault,
    effects::{Effects, backoff, record_snapshot, remember, status_of},
};

/// Stores a verified webhook; `false` when it was stored before.
pub async fn store(effects: &Effects, provider: &str, external_id: &str, raw: &[u8]) -> Result<bool, Fault> {
    let sealed = effects.engine.store().keyring().seal_raw(provider, raw)?;
    let added = sqlx::query(
        "insert into engine.webhooks (provider, external_id, body) values ($1, $2, $3) on conflict do nothing",
    )
    .bind(provider)
    .bind(external_id)
    .bind(sealed)
    .execute(effects.engine.store().pool())
    .await?;
    Ok(added.rows_affected() == 1)
}

enum Verdict {
    Done,
    Ignored(&'static str),
    Again(String),
}

/// Understands up to a batch of received webhooks, oldest first; returns how many there were.
pub async fn process(effects: &Effects) -> Result<usize, sqlx::Error> {
    let pool = effects.engine.store().pool();
    // The lease is the retry time itself: whoever takes a row pushes it ahead. It is short, because a killed worker's rows
    // wait for it, and understanding a webhook twice is harmless.
    let rows = sqlx::query(
        "update engine.webhooks set attempts = attempts + 1, retry_at = now() + interval '20 seconds'
         where (provider, external_id) in (
             select provider, external_id from engine.webhooks
             where state = 'received' and retry_at <= now() order by received_at limit 8 for update skip locked
         )
         returning provider, external_id, body, attempts",
    )
    .fetch_all(pool)
    .await?;
    let count = rows.len();
    let work = rows.into_iter().map(|row| async move {
        let provider: String = row.try_get("provider")?;
        let external_id: String = row.try_get("external_id")?;
        let attempts: i32 = row.try_get("attempts")?;
        let body: &[u8] = row.try_get("body")?;
        let verdict = match effects.engine.store().keyring().open_raw(&provider, body) {
            Err(error) => Err(Fault::from(error)),
            Ok(raw) => match provider.as_str() {
                "stripe" => stripe(effects, &raw).await,
                "resend" => resend(effects, &raw).await,
                _ => Ok(Verdict::Ignored("unknown provider")),
            },
        };
        let (state, note, after) = match verdict {
            Ok(Verdict::Done) => ("done", None, Duration::ZERO),
            Ok(Verdict::Ignored(why)) => ("ignored", Some(why.to_owned()), Duration::ZERO),
            Ok(Verdict::Again(why)) => ("received", Some(why), backoff(attempts)),
            Err(fault) if fault.is_final() => ("ignored", Some(fault.to_string()), Duration::ZERO),
            Err(fault) => ("received", Some(fault.to_string()), backoff(attempts)),
        };
        // A day of trying is enough; polling has converged meanwhile, and the row stays for a person.
        let state = if state == "received" && attempts > 300 { "failed" } else { state };
        finish(pool, &provider, &external_id, state, note.as_deref(), after).await
    });
    for finished in futures_util::future::join_all(work).await {
        finished?;
    }
    Ok(count)
}

/// Empties what was understood a week ago: a webhook's body may name people.
pub async fn forget_old(pool: &PgPool) -> Result<u64, sqlx::Error> {
    sqlx::query(
        "update engine.webhooks set body = '' where state in ('done', 'ignored') and body <> ''
             and received_at < now() - interval '7 days'",
    )
    .execute(pool)
    .await
    .map(|done| done.rows_affected())
}

async fn finish(
    pool: &PgPool,
    provider: &str,
    id: &str,
    state: &str,
    note: Option<&str>,
    after: Duration,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update engine.webhooks set state = $3, note = $4, retry_at = now() + $5 where provider = $1 and external_id = $2",
    )
    .bind(provider)
    .bind(id)
    .bind(state)
    .bind(note)
    .bind(after)
    .execute(pool)
    .await
    .map(|_| ())
}

/// Which stream a provider's object belongs to.
async fn owner(pool: &PgPool, external: &str, stream: &str) -> Result<Option<(OrganizationId, Uuid)>, sqlx::Error> {
    let row: Option<(Uuid, Uuid)> = sqlx::query_as(
        "select organization_id, aggregate_id from engine.provider_objects
         where provider = 'stripe' and external_id = $1 and aggregate_type = $2",
    )
    .bind(external)
    .bind(stream)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|(organization, id)| (OrganizationId(organization), id)))
}

/// The payment that a PaymentIntent pays, as an internal asker; through our own record, else through its metadata.
async fn payment_of(
    effects: &Effects,
    notice: &StripeNotice,
    intent: &str,
    hinted: Option<Uuid>,
) -> Result<Option<(OrganizationId, PaymentId, Payment)>, Fault> {
    let pool = effects.engine.store().pool();
    let found = match owner(pool, intent, "payment").await? {
        Some(found) => Some(found),
        // The answer to our call is still on its way: the account tells the organization, the metadata the payment.
        None => match (hinted, &notice.account) {
            (Some(payment), Some(account)) => {
                owner(pool, account, "stripe-account").await?.map(|(organization, _)| (organization, payment))
            }
            _ => None,
        },
    };
    let Some((organization, id)) = found else { return Ok(None) };
    match effects.engine.state::<Payment>(organization, id).await {
        Ok(payment) => Ok(Some((organization, PaymentId(id), payment))),
        // An account's owner can write any id into its metadata.
        Err(Fault::Missing) => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn ask(organization: OrganizationId, provider: &str, event: &str) -> Ask {
    let correlation = Uuid::new_v5(&organization.0, format!("{provider}/{event}").as_bytes());
    Ask {
        actor: Actor::of(Role::Provider),
        ..Ask::internal(organization, Role::Provider, format!("provider:{provider}"), correlation)
    }
    .because(format!("{provider}/{event}"))
}

async fn stripe(effects: &Effects, raw: &[u8]) -> Result<Verdict, Fault> {
    let Ok(notice) = integrations::stripe::webhook::parse(raw) else {
        return Ok(Verdict::Ignored("not readable as a webhook"));
    };
    match &notice.object {
        StripeObject::PaymentIntent { id, payment } => payment_intent(effects, &notice, id, *payment).await,
        StripeObject::Charge { intent: Some(intent), .. } => payment_intent(effects, &notice, intent, None).await,
        StripeObject::Refund { id, intent: Some(intent), refund: Some(refund) } => {
            refund_notice(effects, &notice, id, intent, RefundId(*refund)).await
        }
        StripeObject::Account { id } => account(effects, &notice, id, false).await,
        StripeObject::Deauthorized => match &notice.account {
            Some(id) => account(effects, &notice, id, true).await,
            None => Ok(Verdict::Ignored("no account named")),
        },
        StripeObject::Charge { intent: None, .. } | StripeObject::Refund { .. } => {
            Ok(Verdict::Ignored("not one of ours"))
        }
        StripeObject::Other => Ok(Verdict::Ignored("not a kind that is acted on")),
    }
}

/// Re-reads the PaymentIntent and merges it: a webhook may be late, out of order or about the past.
async fn payment_intent(
    effects: &Effects,
    notice: &StripeNotice,
    intent: &str,
    hinted: Option<Uuid>,
) -> Result<Verdict, Fault> {
    let Some((organization, id, payment)) = payment_of(effects, notice, intent, hinted).await? else {
        return Ok(Verdict::Ignored("not one of our payments"));
    };
    let Some(request) = &payment.request else { return Ok(Verdict::Ignored("not submitted by us")) };
    if notice.account.as_ref() != Some(&request.account) {
        return Ok(Verdict::Ignored("from another account than the payment's"));
    }
    match effects.providers.stripe.payment_intent(&request.account, intent).await {
        Outcome::Done(snapshot) => {
            let (account, intent) = (request.account.clone(), snapshot.id.clone());
            record_snapshot(effects, &ask(organization, "stripe", &notice.id), id, &account, snapshot).await?;
            // The answer to our call may never come, and a charge's notice names only the PaymentIntent.
            remember(effects, organization, id, &intent).await?;
            Ok(Verdict::Done)
        }
        Outcome::Refused(_) => Ok(Verdict::Ignored("stripe does not show the payment")),
        Outcome::Retry { why, .. } | Outcome::Unknown { why, .. } => Ok(Verdict::Again(why)),
    }
}

async fn refund_notice(
    effects: &Effects,
    notice: &StripeNotice,
    external: &str,
    intent: &str,
    id: RefundId,
) -> Result<Verdict, Fault> {
    let Some((organization, payment_id, payment)) = payment_of(effects, notice, intent, None).await? else {
        return Ok(Verdict::Ignored("not one of our payments"));
    };
    let Some(refund) = payment.refunds.iter().find(|refund| refund.id == id) else {
        return Ok(Verdict::Ignored("not one of our refunds"));
    };
    let Some(request) = payment.request.as_ref().filter(|request| Some(&request.account) == notice.account.as_ref())
    else {
        return Ok(Verdict::Ignored("from another account than the payment's"));
    };
    if matches!(refund.phase, RefundPhase::Succeeded | RefundPhase::Failed | RefundPhase::Requested) {
        return Ok(Verdict::Done);
    }
    match effects.providers.stripe.refund(&request.account, external).await {
        Outcome::Done(snapshot) => {
            if let Some(report) = crate::effects::refund_report(snapshot) {
                let command = domain::refund::RecordRefund { payment_id, refund_id: id, report };
                effects.engine.execute(command, &ask(organization, "stripe", &notice.id)).await?;
            }
            Ok(Verdict::Done)
        }
        Outcome::Refused(_) => Ok(Verdict::Ignored("stripe does not show the refund")),
        Outcome::Retry { why, .. } | Outcome::Unknown { why, .. } => Ok(Verdict::Again(why)),
    }
}

async fn account(effects: &Effects, notice: &StripeNotice, id: &str, gone: bool) -> Result<Verdict, Fault> {
    let Some((organization, ours)) = owner(effects.engine.store().pool(), id, "stripe-account").await? else {
        return Ok(Verdict::Ignored("not one of our accounts"));
    };
    let stripe_account_id = StripeAccountId(ours);
    let report = if gone {
        AccountReport::Deauthorized { account: id.to_owned() }
    } else {
        let known: StripeAccount = effects.engine.state(organization, ours).await?;
        if known.last_external() != Some(id) {
            return Ok(Verdict::Ignored("not the account that we opened"));
        }
        match effects.providers.stripe.account(id).await {
            Outcome::Done(snapshot) => AccountReport::Seen { status: status_of(&snapshot), account: snapshot.id },
            Outcome::Refused(_) => return Ok(Verdict::Ignored("stripe does not show the account")),
            Outcome::Retry { why, .. } | Outcome::Unknown { why, .. } => return Ok(Verdict::Again(why)),
        }
    };
    let command = RecordStripeAccount { stripe_account_id, report };
    effects.engine.execute(command, &ask(organization, "stripe", &notice.id)).await?;
    Ok(Verdict::Done)
}

async fn resend(effects: &Effects, raw: &[u8]) -> Result<Verdict, Fault> {
    let Ok(notice) = integrations::resend::webhook::parse(raw) else {
        return Ok(Verdict::Ignored("not readable as a webhook"));
    };
    let Some(message) = notice.message else { return Ok(Verdict::Ignored("not one of our messages")) };
    // Whose it is stands with its events.
    let organizations: Vec<Uuid> = sqlx::query_scalar(
        "select organization_id from log.entries where aggregate_type = 'email' and aggregate_id = $1 and sequence = 1",
    )
    .bind(message.to_string())
    .fetch_all(effects.engine.store().pool())
    .await?;
    let mut owners = Vec::new();
    for organization in organizations.into_iter().map(OrganizationId) {
        let state: EmailMessage = effects.engine.state(organization, message).await?;
        owners.push((organization, state.provider_id));
    }
    // The same id in two organizations: the provider's own id tells them apart.
    if owners.len() > 1 {
        owners.retain(|(_, known)| known.is_some() && *known == notice.email_id);
    }
    let Some((organization, _)) = owners.pop() else {
        return Ok(Verdict::Ignored("not one of our messages"));
    };
    let Some(report) = email_report(&notice) else { return Ok(Verdict::Ignored("not a kind that is acted on")) };
    let command = RecordEmail { message_id: MessageId(message), report };
    let event = notice.email_id.as_deref().unwrap_or("notice");
    effects.engine.execute(command, &ask(organization, "resend", event)).await?;
    Ok(Verdict::Done)
}

fn email_report(notice: &ResendNotice) -> Option<EmailReport> {
    Some(match &notice.kind {
        ResendKind::Sent => EmailReport::Accepted { provider_id: notice.email_id.clone() },
        ResendKind::Delivered => EmailReport::Delivered,
        ResendKind::Delayed => EmailReport::Delayed,
        ResendKind::Bounced => {
            let bounce = notice.bounce.as_ref()?;
            EmailReport::Bounced { kind: bounce.kind, reason: bounce.reason.clone() }
        }
        ResendKind::Complained => EmailReport::Complained,
        ResendKind::Opened => EmailReport::Opened,
        ResendKind::Clicked => EmailReport::Clicked,
        ResendKind::Failed => {
            EmailReport::Failed { reason: notice.failure.clone().unwrap_or_else(|| "failed".to_owned()) }
        }
        ResendKind::Suppressed => EmailReport::SuppressedByProvider,
        ResendKind::Other(_) => return None,
    })
}
