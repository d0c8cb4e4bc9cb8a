//! Resend's notices: what became of an e-mail.

use domain::{
    EmailMessage,
    email::{EmailReport, RecordEmail},
};
use events::{MessageId, OrganizationId};
use integrations::resend::webhook::{ResendKind, ResendNotice};
use uuid::Uuid;

use super::{Verdict, ask};
use crate::{Fault, effects::Effects};

pub(super) async fn understand(effects: &Effects, raw: &[u8]) -> Result<Verdict, Fault> {
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
