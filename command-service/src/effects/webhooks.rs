//! Webhooks: the courier is told how they stand, and somebody is told when one is disabled for failing.

use chrono::Utc;
use domain::{Organization, Suppression, Webhook, webhook::Situation};
use events::{EmailAddress, WebhookId, webhook::DisabledBecause};
use letters::{Letter, Letterhead};
use processes::ports::{MailPromise, Outcome, OutgoingEmail};

use super::{Effects, backoff, email::suppression_id, unknown};
use crate::{
    Fault,
    courier::rows,
    outbox::{Done, Task},
};

pub async fn follow(effects: &Effects, task: &Task, id: WebhookId) -> Result<Done, Fault> {
    rows::follow(&effects.engine, task.organization, id).await?;
    Ok(Done::Finished)
}

pub async fn replay(effects: &Effects, task: &Task, id: WebhookId, version: i64, from: i64) -> Result<Done, Fault> {
    // The effect of the registration may be later than this one.
    rows::follow(&effects.engine, task.organization, id).await?;
    rows::replay(effects.engine.store().pool(), task.organization, id, version, from).await?;
    Ok(Done::Finished)
}

pub async fn test(effects: &Effects, task: &Task, id: WebhookId, version: i64) -> Result<Done, Fault> {
    rows::follow(&effects.engine, task.organization, id).await?;
    let now = effects.engine.clock().now();
    rows::test(effects.engine.store().pool(), task.organization, id, version, now).await?;
    Ok(Done::Finished)
}

/// Tells whoever looks after a webhook, unless it is enabled again. Under the task's key, at most once where a provider has none.
pub async fn tell(effects: &Effects, task: &Task, id: WebhookId, version: i64) -> Result<Done, Fault> {
    let webhook: Webhook = effects.engine.state(task.organization, id.0).await?;
    let failing_since = match &webhook.situation {
        Situation::Disabled(DisabledBecause::Gone) => None,
        Situation::Disabled(DisabledBecause::LongFailure { since }) => Some(since.date_naive()),
        Situation::Missing | Situation::Enabled | Situation::Removed | Situation::Disabled(DisabledBecause::ByHand) => {
            return Ok(Done::Finished);
        }
    };
    let Some(target) = &webhook.target else { return Ok(Done::Finished) };
    let Some(address) = target.notice.value() else { return Ok(Done::Finished) };
    if is_suppressed(effects, task, address).await? {
        return Ok(Done::Refused("the address is on the suppression list".to_owned()));
    }
    let mail = &effects.providers.mail;
    let lost = match (mail.promise(), task.first_called_at) {
        (MailPromise::Idempotent { window }, Some(first)) => {
            task.interrupted && (Utc::now() - first).to_std().unwrap_or_default() >= window
        }
        (MailPromise::Idempotent { .. }, None) => false,
        (MailPromise::AtMostOnce, _) => task.interrupted,
    };
    if lost {
        return Ok(Done::Unresolved("the provider's answer was lost".to_owned()));
    }
    let company: Organization = effects.engine.state(task.organization, task.organization.0).await?;
    let company = company.name.map(String::from).unwrap_or_default();
    let portal_url = effects.providers.public_url.as_str();
    let letter = Letter::WebhookDisabled {
        host: target.url.host(),
        description: target.description.as_ref().map(events::text::Line::as_str),
        failing_since,
        webhook_url: format!("{portal_url}/v1/webhooks/{id}/deliveries"),
    };
    let head = Letterhead {
        organization: &company,
        sender: &company,
        property: None,
        property_address: None,
        contact: None,
        portal_url,
    };
    let rendered = match letters::render(&letter, &head, target.language) {
        Ok(rendered) => rendered,
        Err(error) => return Ok(Done::Unresolved(error.to_string())),
    };
    let outgoing = OutgoingEmail {
        from_name: company.clone(),
        from_address: effects.providers.mail_from.clone(),
        to: address.as_str().to_owned(),
        reply_to: None,
        subject: rendered.subject,
        html: rendered.html,
        text: rendered.text,
        // Named like the disabling that it tells of.
        reference: uuid::Uuid::new_v5(&id.0, &version.to_be_bytes()),
        kind: letter.kind().to_owned(),
        language: target.language.code().to_owned(),
    };
    effects.calling(task).await?;
    Ok(match mail.send(&outgoing, &task.key).await {
        Outcome::Done(_) => Done::Finished,
        Outcome::Refused(refused) => Done::Refused(format!("{}: {}", refused.code, refused.why)),
        Outcome::Retry { after, why } => Done::Again { after: after.max(backoff(task.attempts)), why },
        Outcome::Unknown { cause, why } => match mail.promise() {
            MailPromise::Idempotent { .. } => Done::Unsure { after: backoff(task.attempts), why: unknown(cause, &why) },
            MailPromise::AtMostOnce => Done::Unresolved(unknown(cause, &why)),
        },
    })
}

async fn is_suppressed(effects: &Effects, task: &Task, address: &EmailAddress) -> Result<bool, Fault> {
    let id = suppression_id(effects, task.organization, address);
    let suppression: Suppression = effects.engine.state(task.organization, id.0).await?;
    Ok(suppression.active)
}
