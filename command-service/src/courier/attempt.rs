//! One attempt: what is sent is read from the log at that moment, posted, and what became of it is written down.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use domain::{Webhook, webhook::SuspendWebhook};
use event_feed::ReadError;
use events::{Role, webhook::DisabledBecause};
use integrations::outbound::{Post, Posted};
use serde_json::json;
use uuid::Uuid;

use super::{
    Inner,
    rows::{self, Attempt, Delivery, Endpoint, Next},
    turn::{Loaded, unreadable},
};
use crate::{Ask, Expect, Fault};

/// After each failure, in seconds: as Standard Webhooks proposes it, a little more than three days in all.
const PAUSES: [i64; 9] = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// A receiver that asks for more patience than this is asked again anyway.
const LONGEST: TimeDelta = TimeDelta::hours(24);
/// How soon it is looked again whether an event can be told by now.
const UNREADABLE: TimeDelta = TimeDelta::minutes(5);
/// The type of events that only say that they arrive.
const TEST: &str = "org.propty.webhook.test.v1";

/// What is posted, and as what it is told in the log of attempts.
struct Message {
    id: String,
    kind: &'static str,
    body: Vec<u8>,
}

/// Makes an attempt; whether the webhook stands otherwise than before.
pub async fn make(
    inner: &Inner,
    endpoint: &Endpoint,
    mut loaded: Arc<Loaded>,
    delivery: &Delivery,
) -> Result<bool, Fault> {
    let pool = inner.effects.engine.store().pool();
    let now = inner.effects.engine.clock().now();
    let message = if delivery.is_test() {
        test(endpoint, delivery, now)
    } else {
        match tell(inner, endpoint, &mut loaded, delivery).await? {
            Read::Told(message) => message,
            Read::NotWanted => {
                rows::drop_delivery(pool, endpoint, delivery).await?;
                return Ok(true);
            }
            Read::NotYet => {
                rows::postpone(pool, endpoint, delivery, now + TimeDelta::seconds(2)).await?;
                return Ok(false);
            }
            Read::Unreadable(error) => {
                // It holds up its own aggregate, as one that is refused does.
                tracing::error!(webhook.id = %endpoint.webhook, position = delivery.position, %error, "an event cannot be sent");
                rows::postpone(pool, endpoint, delivery, now + UNREADABLE).await?;
                return Ok(false);
            }
        }
    };
    let post = Post {
        url: loaded.target.url.as_str(),
        id: &message.id,
        at: Utc::now(),
        secrets: &loaded.signing(now),
        body: &message.body,
    };
    let posted = inner.effects.providers.webhooks.post(&post).await;
    // The clock may have been moved meanwhile.
    let now = inner.effects.engine.clock().now();
    let tried = delivery.attempts + 1;
    let (because, mut next) = match (judge(&posted), delivery.is_test()) {
        (Verdict::Delivered, _) => (None, Next::Delivered),
        // Whoever asked for it looks, and asks again.
        (Verdict::Failed | Verdict::Gone, true) => (None, Next::Failed),
        (Verdict::Gone, false) => (Some(DisabledBecause::Gone), Next::Gone { due_at: now }),
        (Verdict::Failed, false) => match pause(tried, posted.retry_after, Uuid::new_v4()) {
            Some(pause) => (None, Next::Again { due_at: now + pause }),
            None => match rows::failing_since(pool, endpoint, delivery, now).await? {
                Some(since) => (Some(DisabledBecause::LongFailure { since }), Next::Again { due_at: now }),
                // Others arrive: it is this event that the receiver does not take, and the aggregate's next ones wait behind it.
                None => (None, Next::Abandoned),
            },
        },
    };
    let ends = because.is_some();
    let mut suspended = false;
    if let Some(because) = because {
        suspended = suspend(inner, endpoint, &loaded, because).await?;
        if !suspended {
            next = Next::Anew { due_at: now };
        }
    }
    let attempt =
        Attempt { id: Uuid::now_v7(), message_id: &message.id, kind: message.kind, number: tried, at: now, posted };
    rows::record(pool, endpoint, delivery, &attempt, &next).await?;
    if suspended {
        tracing::warn!(webhook.id = %endpoint.webhook, "a webhook is disabled because its receiver fails");
        rows::follow(&inner.effects.engine, endpoint.organization, endpoint.webhook).await?;
    }
    Ok(ends)
}

/// Disables a webhook, unless it was pointed elsewhere or enabled again since it was posted to: how that went says nothing of how it
/// is now. Whether it is disabled.
async fn suspend(inner: &Inner, endpoint: &Endpoint, posted: &Loaded, because: DisabledBecause) -> Result<bool, Fault> {
    let engine = &inner.effects.engine;
    let mut ask = Ask::internal(endpoint.organization, Role::Process, "process:webhooks", Uuid::now_v7());
    loop {
        let webhook: Webhook = engine.state(endpoint.organization, endpoint.webhook.0).await?;
        if webhook.target.is_none() || webhook.since != posted.webhook.since {
            return Ok(false);
        }
        if !webhook.is_enabled() {
            return Ok(true);
        }
        ask.expect = Expect::Version(webhook.version);
        let command = SuspendWebhook { webhook_id: endpoint.webhook, because: because.clone() };
        match engine.execute(command, &ask).await {
            Ok(_) => return Ok(true),
            // Something changed just now.
            Err(Fault::Stale { .. }) => {}
            // Removed meanwhile.
            Err(fault) if fault.is_final() => return Ok(false),
            Err(fault) => return Err(fault),
        }
    }
}

enum Read {
    Told(Message),
    /// The webhook was changed since it was taken in.
    NotWanted,
    /// A replica that is behind.
    NotYet,
    Unreadable(ReadError),
}

/// Reads the event as the webhook wants it now: that it is not wanted is believed only of the latest change.
async fn tell(
    inner: &Inner,
    endpoint: &Endpoint,
    loaded: &mut Arc<Loaded>,
    delivery: &Delivery,
) -> Result<Read, Fault> {
    loop {
        let read = read(inner, endpoint, loaded, delivery).await?;
        if !matches!(read, Read::NotWanted) {
            return Ok(read);
        }
        match inner.load(endpoint).await? {
            Some(now) if now.webhook.version != loaded.webhook.version => *loaded = now,
            Some(_) | None => return Ok(read),
        }
    }
}

async fn read(inner: &Inner, endpoint: &Endpoint, loaded: &Loaded, delivery: &Delivery) -> Result<Read, Fault> {
    let read = {
        // Never closed.
        let _permit = inner.slices.acquire().await.ok();
        inner.reader.read(&loaded.wanted, delivery.position - 1, delivery.position, 1).await
    };
    match read {
        Ok(slice) if slice.complete < delivery.position => Ok(Read::NotYet),
        Ok(slice) => Ok(slice.shown.into_iter().next().map_or(Read::NotWanted, |shown| {
            Read::Told(Message {
                id: message_id(endpoint, &shown.id()),
                kind: shown.declared.kind,
                body: shown.line.clone(),
            })
        })),
        Err(ReadError::Beyond { .. }) => Ok(Read::NotYet),
        Err(error @ ReadError::Unreadable(_)) => Ok(Read::Unreadable(error)),
        Err(error) => Err(unreadable(error)),
    }
}

/// The same for an event and a webhook at every attempt, and another for another webhook.
fn message_id(endpoint: &Endpoint, event: &str) -> String {
    format!("msg_{}", Uuid::new_v5(&endpoint.webhook.0, event.as_bytes()).simple())
}

fn test(endpoint: &Endpoint, delivery: &Delivery, now: DateTime<Utc>) -> Message {
    let id = format!("test-{}-{}", endpoint.webhook, -delivery.position);
    let body = json!({
        "specversion": "1.0",
        "id": id,
        "source": format!("urn:propty:organization:{}", endpoint.organization),
        "type": TEST,
        "subject": format!("webhook/{}", endpoint.webhook),
        "time": now.to_rfc3339_opts(SecondsFormat::Micros, true),
        "datacontenttype": "application/json",
        "data": { "webhook_id": endpoint.webhook },
    });
    Message { id: message_id(endpoint, &id), kind: TEST, body: body.to_string().into_bytes() }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Delivered,
    Failed,
    Gone,
}

fn judge(posted: &Posted) -> Verdict {
    match posted.status {
        Some(200..=299) => Verdict::Delivered,
        Some(410) => Verdict::Gone,
        // Redirects too: whoever signs for one address does not post to another.
        Some(_) | None => Verdict::Failed,
    }
}

/// How long to wait after so many attempts; `None` when there is none left. A receiver may ask for more patience, not for less.
fn pause(tried: i32, asked: Option<Duration>, chance: Uuid) -> Option<TimeDelta> {
    let seconds = *PAUSES.get(usize::try_from(tried - 1).ok()?)?;
    // Up to a tenth more, so that what failed together does not come back together.
    let jitter = i64::try_from(chance.as_u128() % 1000).unwrap_or_default();
    let usual = TimeDelta::milliseconds(seconds * 1000 + seconds * jitter / 10);
    let asked = asked.and_then(|asked| TimeDelta::from_std(asked).ok()).unwrap_or_default();
    Some(usual.max(asked.min(LONGEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posted(status: Option<u16>) -> Posted {
        Posted { status, error: None, excerpt: None, retry_after: None, took: Duration::ZERO }
    }

    #[test]
    fn only_2xx_is_an_arrival_and_only_410_an_end() {
        for (status, verdict) in [
            (Some(200), Verdict::Delivered),
            (Some(204), Verdict::Delivered),
            (Some(299), Verdict::Delivered),
            (Some(302), Verdict::Failed),
            (Some(404), Verdict::Failed),
            (Some(410), Verdict::Gone),
            (Some(429), Verdict::Failed),
            (Some(500), Verdict::Failed),
            (None, Verdict::Failed),
        ] {
            assert_eq!(judge(&posted(status)), verdict, "{status:?}");
        }
    }

    #[test]
    fn attempts_spread_over_three_days_and_then_end() {
        let least: TimeDelta = (1..=9).filter_map(|tried| pause(tried, None, Uuid::nil())).sum();
        assert!(least >= TimeDelta::days(3) && least < TimeDelta::days(4), "{least}");
        assert_eq!(pause(1, None, Uuid::nil()), Some(TimeDelta::seconds(5)));
        assert_eq!(pause(10, None, Uuid::nil()), None);
        assert_eq!(pause(11, Some(Duration::from_secs(5)), Uuid::nil()), None, "asking prolongs nothing");
        for chance in [Uuid::nil(), Uuid::from_u128(999), Uuid::max()] {
            let pause = pause(2, None, chance).expect("a pause");
            assert!((TimeDelta::seconds(300)..=TimeDelta::seconds(330)).contains(&pause), "{pause}");
        }
    }

    #[test]
    fn a_receiver_may_ask_for_patience_within_reason() {
        let asked = |seconds| pause(1, Some(Duration::from_secs(seconds)), Uuid::nil());
        assert_eq!(asked(1), Some(TimeDelta::seconds(5)));
        assert_eq!(asked(120), Some(TimeDelta::seconds(120)));
        assert_eq!(asked(u64::MAX), Some(TimeDelta::seconds(5)), "what is no length of time is ignored");
        assert_eq!(asked(10_000_000), Some(TimeDelta::hours(24)));
    }
}
