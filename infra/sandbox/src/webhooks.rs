//! Signed webhooks, sent by a few senders until they are accepted, with the scripted faults on the way.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use serde_json::{Value, json};

use crate::config::{Provider, WebhookTarget};
use crate::faults::FaultKind;
use crate::form;
use crate::shared::{Shared, hold};
use crate::signatures;
use crate::store::Table;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// About eight minutes with the pauses above; long enough for a restarted receiver.
const ATTEMPTS: u32 = 100;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const HELD_AT_MOST: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mangle {
    Forge,
    Truncate,
}

/// One delivery on its way.
#[derive(Debug)]
pub(crate) struct Plan {
    delivery: String,
    event: String,
    provider: Provider,
    delay: Duration,
    mangle: Option<Mangle>,
    duplicate: bool,
    /// Deliveries that were held back and follow this one.
    then: Vec<Plan>,
}

struct Outgoing {
    url: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    kind: String,
}

pub(crate) fn dispatch(shared: &Arc<Shared>, deliveries: Vec<String>) {
    // What Twilio tells of one text goes out in the order that its script says, each after the one before.
    let mut chain = Vec::new();
    for delivery in deliveries {
        match planned(shared, delivery) {
            Some(plan) if plan.provider == Provider::Twilio => chain.push(plan),
            Some(plan) => start(shared, plan),
            None => {}
        }
    }
    chain.reverse();
    if let Some(mut first) = chain.pop() {
        chain.append(&mut first.then);
        first.then = chain;
        start(shared, first);
    }
}

/// A delivery with the faults that meet it; nothing where it does not go out, or not yet.
fn planned(shared: &Arc<Shared>, delivery: String) -> Option<Plan> {
    let row = shared.read(|store| store.get(Table::Deliveries, &delivery).cloned())?;
    let provider = serde_json::from_value::<Provider>(row["provider"].clone()).ok()?;
    let kind = row["type"].as_str().unwrap_or_default();
    let event = row["event"].as_str().unwrap_or_default().to_owned();
    let has_target = provider == Provider::Twilio || hold(&shared.targets).contains_key(&provider);
    if !has_target {
        forget(shared, &delivery);
        return None;
    }
    let mut plan =
        Plan { delivery, event, provider, delay: Duration::ZERO, mangle: None, duplicate: false, then: Vec::new() };
    let fault = hold(&shared.faults).for_webhook(provider, kind);
    match fault {
        Some(FaultKind::DropWebhooks) => {
            hold(&shared.journal).add(json!({
                "at": Utc::now().to_rfc3339(), "direction": "dropped", "provider": provider,
                "event_id": plan.event, "event_type": kind, "fault": "drop_webhooks",
            }));
            forget(shared, &plan.delivery);
            return None;
        }
        Some(FaultKind::ReorderWebhooks) => {
            shared.undelivered.send_modify(|count| *count += 1);
            hold(&shared.held).entry(provider).or_default().push(plan);
            let later = shared.clone();
            spawn(shared, async move {
                tokio::time::sleep(HELD_AT_MOST).await;
                release(&later, provider);
            });
            return None;
        }
        Some(FaultKind::DuplicateWebhook) => plan.duplicate = true,
        Some(FaultKind::DelayWebhooks { ms }) => plan.delay = Duration::from_millis(ms),
        Some(FaultKind::ForgeWebhooks) => plan.mangle = Some(Mangle::Forge),
        Some(FaultKind::TruncateWebhooks) => plan.mangle = Some(Mangle::Truncate),
        _ => {}
    }
    if let Some(held) = hold(&shared.held).remove(&provider) {
        plan.then = held;
    }
    shared.undelivered.send_modify(|count| *count += 1);
    Some(plan)
}

/// Lets go what a reorder fault has held, the latest first.
pub(crate) fn release(shared: &Arc<Shared>, provider: Provider) {
    let mut held = hold(&shared.held).remove(&provider).unwrap_or_default();
    if let Some(mut first) = held.pop() {
        first.then = held;
        start(shared, first);
    }
}

fn spawn(shared: &Arc<Shared>, task: impl Future<Output = ()> + Send + 'static) {
    let mut tasks = hold(&shared.tasks);
    while tasks.try_join_next().is_some() {}
    tasks.spawn_on(task, &shared.runtime);
}

fn start(shared: &Arc<Shared>, plan: Plan) {
    let shared_task = shared.clone();
    spawn(shared, deliver(shared_task, plan));
}

fn forget(shared: &Arc<Shared>, delivery: &str) {
    if let Err(error) = shared.change(|store| store.remove(Table::Deliveries, delivery)) {
        tracing::error!(%error, "the sandbox cannot save its state");
    }
}

async fn deliver(shared: Arc<Shared>, mut plan: Plan) {
    if !plan.delay.is_zero() {
        tokio::time::sleep(plan.delay).await;
    }
    let mut pause = FIRST_PAUSE;
    let mut accepted = false;
    if plan.mangle.is_some() {
        send(&shared, &plan, 0, plan.mangle).await;
    }
    for attempt in 1..=ATTEMPTS {
        accepted = send(&shared, &plan, attempt, None).await;
        let mut then = std::mem::take(&mut plan.then);
        if let Some(mut next) = then.pop() {
            next.then = then;
            start(&shared, next);
        }
        if accepted {
            break;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    if accepted {
        if plan.duplicate {
            send(&shared, &plan, 2, None).await;
        }
        forget(&shared, &plan.delivery);
    } else {
        let kept = shared.change(|store| {
            if let Some(mut row) = store.get(Table::Deliveries, &plan.delivery).cloned() {
                row["gave_up"] = json!(true);
                store.put(Table::Deliveries, &plan.delivery, row);
            }
        });
        if let Err(error) = kept {
            tracing::error!(%error, "the sandbox cannot save its state");
        }
    }
    shared.undelivered.send_modify(|count| *count = count.saturating_sub(1));
}

/// Whether the receiver answered with a 2xx.
async fn send(shared: &Arc<Shared>, plan: &Plan, attempt: u32, mangle: Option<Mangle>) -> bool {
    let Some(outgoing) = compose(shared, plan, mangle) else {
        return false;
    };
    let Ok(_permit) = shared.senders.acquire().await else {
        return false;
    };
    let mut shown = serde_json::Map::new();
    let mut request = shared.client.post(&outgoing.url).timeout(ANSWER_WITHIN);
    for (name, value) in &outgoing.headers {
        request = request.header(*name, value);
        if !name.to_ascii_lowercase().ends_with("signature") {
            shown.insert((*name).to_owned(), Value::String(value.clone()));
        }
    }
    let entry = hold(&shared.journal).add(json!({
        "at": Utc::now().to_rfc3339(), "direction": "sent", "provider": plan.provider, "method": "POST",
        "url": outgoing.url, "event_id": plan.event, "event_type": outgoing.kind, "attempt": attempt,
        "fault": mangle.map(|mangle| format!("{mangle:?}").to_lowercase()),
        "headers": shown, "body": crate::journal::body(&outgoing.body),
    }));
    let answer = request.body(outgoing.body).send().await;
    let mut journal = hold(&shared.journal);
    match answer {
        Ok(answer) => {
            journal.amend(entry, "status", json!(answer.status().as_u16()));
            answer.status().is_success()
        }
        Err(error) => {
            journal.amend(entry, "error", json!(error.without_url().to_string()));
            false
        }
    }
}

fn compose(shared: &Shared, plan: &Plan, mangle: Option<Mangle>) -> Option<Outgoing> {
    let row = shared.read(|store| store.get(Table::Events, &plan.event).cloned())?;
    let kind = row["type"].as_str().unwrap_or_default().to_owned();
    let mut body = row["body"].as_str().unwrap_or_default().as_bytes().to_vec();
    let target = target(shared, plan.provider, &row)?;
    let secret = if mangle == Some(Mangle::Forge) { "whsec_Zm9yZ2VyeQ==" } else { &target.secret };
    let timestamp = Utc::now().timestamp();
    let mut headers = vec![("User-Agent", "Propty-Sandbox/1.0".to_owned())];
    match plan.provider {
        Provider::Stripe => {
            headers.push(("Content-Type", "application/json; charset=utf-8".to_owned()));
            headers.push(("Stripe-Signature", signatures::stripe(secret, timestamp, &body)));
        }
        Provider::Resend => {
            headers.push(("Content-Type", "application/json".to_owned()));
            headers.push(("svix-id", plan.event.clone()));
            headers.push(("svix-timestamp", timestamp.to_string()));
            headers.push(("svix-signature", signatures::svix(secret, &plan.event, timestamp, &body)));
        }
        Provider::Twilio => {
            let parameters = form::pairs(&body);
            headers.push(("Content-Type", "application/x-www-form-urlencoded".to_owned()));
            headers.push(("X-Twilio-Signature", signatures::twilio(secret, &target.url, &parameters)));
        }
    }
    if mangle == Some(Mangle::Truncate) {
        body.truncate(body.len() / 2);
    }
    Some(Outgoing { url: target.url, headers, body, kind })
}

fn target(shared: &Shared, provider: Provider, row: &Value) -> Option<WebhookTarget> {
    if provider != Provider::Twilio {
        return hold(&shared.targets).get(&provider).cloned();
    }
    let account = row["account"].as_str()?;
    let known = hold(&shared.twilio_tokens).get(account).cloned();
    let secret = match (&shared.config.twilio, known) {
        (Some(only), _) => only.auth_token.clone(),
        (None, Some(token)) => token,
        // Nobody has sent anything since the sandbox started.
        (None, None) => hold(&shared.targets).get(&provider)?.secret.clone(),
    };
    Some(WebhookTarget { url: row["callback"]["url"].as_str()?.to_owned(), secret })
}
