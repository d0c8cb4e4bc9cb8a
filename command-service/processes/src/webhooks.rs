//! What the sender of webhooks must know of them, and who is told when one is disabled for failing.

use events::{Recorded, WebhookEvent, WebhookId, webhook::DisabledBecause};

use crate::{Effect, Step, reaction::Reaction};

pub fn react(event: &Recorded) -> Reaction {
    let Some(change) = event.event::<WebhookEvent>()? else { return Ok(vec![]) };
    let (webhook_id, version) = (WebhookId(event.stream_id), event.version);
    let follow = || Step::effect(Effect::FollowWebhook { webhook_id });
    Ok(match change {
        WebhookEvent::WebhookRegistered { .. } | WebhookEvent::WebhookEnabled {} | WebhookEvent::WebhookRemoved {} => {
            vec![follow()]
        }
        // What waits for the former address need not wait any longer.
        WebhookEvent::WebhookChanged { url: Some(_), .. }
        | WebhookEvent::WebhookDisabled { because: DisabledBecause::ByHand } => vec![follow()],
        WebhookEvent::WebhookDisabled { because: DisabledBecause::Gone | DisabledBecause::LongFailure { .. } } => {
            vec![follow(), Step::effect(Effect::TellWebhookDisabled { webhook_id, version })]
        }
        WebhookEvent::WebhookReplayRequested { from } => {
            vec![Step::effect(Effect::ReplayWebhook { webhook_id, version, from })]
        }
        WebhookEvent::WebhookTestRequested {} => vec![Step::effect(Effect::TestWebhook { webhook_id, version })],
        // The sender reads them when it sends.
        WebhookEvent::WebhookChanged { url: None, .. } | WebhookEvent::WebhookSecretRotated { .. } => vec![],
    })
}
