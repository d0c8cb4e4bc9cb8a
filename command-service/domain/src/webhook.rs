//! A webhook: registered, changed, its secret rotated, disabled by hand or for failing, enabled again, replayed, tested, removed.

use chrono::{DateTime, TimeDelta, Utc};
use events::{
    EmailAddress, Language, OrganizationId, PropertyId, Purpose, Role, Sealed, SecretId, WebhookEvent, WebhookId,
    text::Line,
    webhook::{DisabledBecause, TargetUrl, TypeName},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Aggregate, Command, Context, Decision, Facts, Need, Scope};

/// Those who decide where the organization's events go.
const OWNERS: &[Role] = &[Role::OrganizationManager, Role::Operator];
/// The most types that are named.
const MOST_TYPES: usize = 100;
/// For how long a former secret signs too, unless said otherwise, and at most, in hours.
const OVERLAP: (u32, u32) = (24, 168);

/// Registers a webhook whose secret the edge made, keeps, and shows once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterWebhook {
    pub webhook_id: WebhookId,
    pub url: TargetUrl,
    pub description: Option<Line<200>>,
    pub types: Vec<TypeName>,
    pub property_id: Option<PropertyId>,
    pub notice_email: EmailAddress,
    pub language: Language,
    pub secret_id: SecretId,
    pub from: Option<i64>,
}

/// Changes where events are sent to, which ones, or who is told when it fails. Fields that are left out stay as they are.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeWebhook {
    pub webhook_id: WebhookId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<TargetUrl>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Line<200>>,
    /// Empty: all types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<Vec<TypeName>>,
    /// Whom to tell when the webhook is disabled for failing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice_email: Option<EmailAddress>,
    /// Of that notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
}

/// Has another secret sign, which the edge made; the former one signs too for a while.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateWebhookSecret {
    pub webhook_id: WebhookId,
    pub secret_id: SecretId,
    pub overlap_hours: Option<u32>,
}

/// Goes on sending where it stood.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnableWebhook {
    pub webhook_id: WebhookId,
}

/// Sends nothing until it is enabled again; what happens meanwhile is sent then.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DisableWebhook {
    pub webhook_id: WebhookId,
}

/// Disables a webhook whose receiver is gone or has failed for too long.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuspendWebhook {
    pub webhook_id: WebhookId,
    pub because: DisabledBecause,
}

/// Sends again what was sent from a position on, under the same ids.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayWebhook {
    pub webhook_id: WebhookId,
    /// The first position that is sent again, from 1.
    pub from: i64,
}

/// Sends a test event, once, also to a webhook that is disabled.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendTestWebhook {
    pub webhook_id: WebhookId,
}

/// Ends a webhook for good; its secrets are forgotten.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveWebhook {
    pub webhook_id: WebhookId,
}

refusals! {
    pub enum WebhookRefusal {
        NotFound = Missing, "there is no such webhook";
        IdTaken = Conflict, "a webhook with this id exists; use a new one";
        NoSuchProperty = Invalid, "there is no such property";
        TooManyTypes = Invalid, "at most 100 types can be named; name families, or none for all";
        BadPosition = Invalid, "positions begin at 1";
        OverlapOutOfRange = Invalid, "the former secret signs for at most 168 hours";
    }
}

/// Whether events are sent.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum Situation {
    #[default]
    Missing,
    Enabled,
    Disabled(DisabledBecause),
    Removed,
}

/// What is sent, where to, and who is told when that fails.
#[derive(Debug, Clone)]
pub struct Target {
    pub url: TargetUrl,
    pub description: Option<Line<200>>,
    pub types: Vec<TypeName>,
    pub property_id: Option<PropertyId>,
    pub notice: Sealed<EmailAddress>,
    pub language: Language,
    pub from: Option<i64>,
}

/// A webhook as decisions and the sender need it.
#[derive(Debug, Default)]
pub struct Webhook {
    pub situation: Situation,
    /// Absent where there is none, or none any more.
    pub target: Option<Target>,
    secret: Option<SecretId>,
    former: Vec<(SecretId, DateTime<Utc>)>,
    /// The version since which it points where it does and is enabled: what failed before says nothing of it.
    pub since: i64,
    /// The stream's version.
    pub version: i64,
}

impl Webhook {
    /// The secrets that sign at a moment, the latest first.
    pub fn secrets(&self, now: DateTime<Utc>) -> Vec<SecretId> {
        let former = self.former.iter().rev().filter(|(_, until)| *until > now).map(|(id, _)| *id);
        self.secret.into_iter().chain(former).collect()
    }

    pub fn is_enabled(&self) -> bool {
        self.situation == Situation::Enabled
    }

    fn known(&self) -> Result<&Target, WebhookRefusal> {
        self.target.as_ref().ok_or(WebhookRefusal::NotFound)
    }
}

impl Aggregate for Webhook {
    type Event = WebhookEvent;
    type Refusal = WebhookRefusal;

    fn evolve(&mut self, event: &WebhookEvent) {
        self.version += 1;
        match event.clone() {
            WebhookEvent::WebhookRegistered {
                url,
                description,
                types,
                property_id,
                notice,
                language,
                secret_id,
                from,
            } => {
                self.situation = Situation::Enabled;
                self.since = self.version;
                self.secret = Some(secret_id);
                self.target = Some(Target { url, description, types, property_id, notice, language, from });
            }
            WebhookEvent::WebhookChanged { url, description, types, notice, language } => {
                if url.is_some() {
                    self.since = self.version;
                }
                if let Some(target) = &mut self.target {
                    target.url = url.unwrap_or_else(|| target.url.clone());
                    target.description = description.or_else(|| target.description.take());
                    target.types = types.unwrap_or_else(|| std::mem::take(&mut target.types));
                    target.notice = notice.unwrap_or_else(|| target.notice.clone());
                    target.language = language.unwrap_or(target.language);
                }
            }
            WebhookEvent::WebhookSecretRotated { secret_id, former_until } => {
                let former = self.secret.replace(secret_id);
                // A secret never signs longer for being rotated away twice.
                self.former.extend(former.map(|id| (id, former_until)));
            }
            WebhookEvent::WebhookEnabled {} => {
                self.situation = Situation::Enabled;
                self.since = self.version;
            }
            WebhookEvent::WebhookDisabled { because } => self.situation = Situation::Disabled(because),
            WebhookEvent::WebhookReplayRequested { .. } | WebhookEvent::WebhookTestRequested {} => {}
            WebhookEvent::WebhookRemoved {} => {
                self.situation = Situation::Removed;
                self.target = None;
                self.secret = None;
                self.former.clear();
            }
        }
    }

    fn scope(&self) -> Scope {
        let property = self.target.as_ref().and_then(|target| target.property_id);
        property.map(Scope::property).unwrap_or_default()
    }
}

fn notice(webhook_id: WebhookId, address: EmailAddress) -> Sealed<EmailAddress> {
    Sealed::new(webhook_id.0, Purpose::Contact, address)
}

impl Command for RegisterWebhook {
    type Aggregate = Webhook;
    const NAME: &'static str = "RegisterWebhook";
    // The secret is made at the edge, so people cannot ask for this by name.
    const ROLES: &'static [Role] = &[Role::Operator];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.webhook_id.0
    }

    fn scope(&self, _: &Webhook) -> Scope {
        self.property_id.map(Scope::property).unwrap_or_default()
    }

    fn needs(&self, _: &Webhook, _: &Facts) -> Vec<Need> {
        self.property_id.map(Need::Property).into_iter().collect()
    }

    fn decide(self, state: &Webhook, context: &Context) -> Decision<Webhook> {
        match &state.situation {
            Situation::Missing => {}
            _ if state.secret == Some(self.secret_id) => return Ok(vec![]),
            Situation::Enabled | Situation::Disabled(_) | Situation::Removed => return Err(WebhookRefusal::IdTaken),
        }
        let known = context.facts.property.as_ref().is_some_and(|property| property.details.is_some());
        if self.property_id.is_some() && !known {
            return Err(WebhookRefusal::NoSuchProperty);
        }
        if self.types.len() > MOST_TYPES {
            return Err(WebhookRefusal::TooManyTypes);
        }
        if self.from.is_some_and(|from| from < 1) {
            return Err(WebhookRefusal::BadPosition);
        }
        Ok(vec![WebhookEvent::WebhookRegistered {
            url: self.url,
            description: self.description,
            types: self.types,
            property_id: self.property_id,
            notice: notice(self.webhook_id, self.notice_email),
            language: self.language,
            secret_id: self.secret_id,
            from: self.from,
        }])
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for ChangeWebhook {
    type Aggregate = Webhook;
    const NAME: &'static str = "ChangeWebhook";
    const ROLES: &'static [Role] = OWNERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.webhook_id.0
    }

    fn decide(self, state: &Webhook, _: &Context) -> Decision<Webhook> {
        let target = state.known()?;
        if self.types.as_ref().is_some_and(|types| types.len() > MOST_TYPES) {
            return Err(WebhookRefusal::TooManyTypes);
        }
        let url = self.url.filter(|url| *url != target.url);
        let description = self.description.filter(|text| Some(text) != target.description.as_ref());
        let types = self.types.filter(|types| *types != target.types);
        let address = self.notice_email.filter(|address| Some(address) != target.notice.value());
        let language = self.language.filter(|language| *language != target.language);
        if url.is_none() && description.is_none() && types.is_none() && address.is_none() && language.is_none() {
            return Ok(vec![]);
        }
        let notice = address.map(|address| notice(self.webhook_id, address));
        Ok(vec![WebhookEvent::WebhookChanged { url, description, types, notice, language }])
    }

    fn example() -> Value {
        json!({
            "webhook_id": "01935c2e-0000-7000-8000-000000000d01",
            "url": "https://hooks.example.com/propty",
            "types": ["invoice.published", "payment.*"]
        })
    }
}

impl Command for RotateWebhookSecret {
    type Aggregate = Webhook;
    const NAME: &'static str = "RotateWebhookSecret";
    // As with `RegisterWebhook`.
    const ROLES: &'static [Role] = &[Role::Operator];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.webhook_id.0
    }

    fn decide(self, state: &Webhook, context: &Context) -> Decision<Webhook> {
        state.known()?;
        if state.secret == Some(self.secret_id) {
            return Ok(vec![]);
        }
        let (usual, longest) = OVERLAP;
        let hours = self.overlap_hours.unwrap_or(usual);
        if hours > longest {
            return Err(WebhookRefusal::OverlapOutOfRange);
        }
        let former_until = context.now + TimeDelta::hours(i64::from(hours));
        Ok(vec![WebhookEvent::WebhookSecretRotated { secret_id: self.secret_id, former_until }])
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for EnableWebhook {
    type Aggregate = Webhook;
    const NAME: &'static str = "EnableWebhook";
    const ROLES: &'static [Role] = OWNERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.webhook_id.0
    }

    fn decide(self, state: &Webhook, _: &Context) -> Decision<Webhook> {
        state.known()?;
        Ok(if state.is_enabled() { vec![] } else { vec![WebhookEvent::WebhookEnabled {}] })
    }

    fn example() -> Value {
        json!({ "webhook_id": "01935c2e-0000-7000-8000-000000000d01" })
    }
}

fn disable(state: &Webhook, because: DisabledBecause) -> Decision<Webhook> {
    state.known()?;
    // What disabled it first is what is told.
    Ok(if state.is_enabled() { vec![WebhookEvent::WebhookDisabled { because }] } else { vec![] })
}

impl Command for DisableWebhook {
    type Aggregate = Webhook;
    const NAME: &'static str = "DisableWebhook";
    const ROLES: &'static [Role] = OWNERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.webhook_id.0
    }

    fn decide(self, state: &Webhook, _: &Context) -> Decision<Webhook> {
        disable(state, DisabledBecause::ByHand)
    }

    fn example() -> Value {
        json!({ "webhook_id": "01935c2e-0000-7000-8000-000000000d01" })
    }
}

impl Command for SuspendWebhook {
    type Aggregate = Webhook;
    const NAME: &'static str = "SuspendWebhook";
    const ROLES: &'static [Role] = &[Role::Process];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.webhook_id.0
    }

    fn decide(self, state: &Webhook, _: &Context) -> Decision<Webhook> {
        disable(state, self.because)
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for ReplayWebhook {
    type Aggregate = Webhook;
    const NAME: &'static str = "ReplayWebhook";
    const ROLES: &'static [Role] = OWNERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.webhook_id.0
    }

    /// Each asking is a replay of its own; who is not sure to have been heard sends the same `Idempotency-Key`.
    fn decide(self, state: &Webhook, _: &Context) -> Decision<Webhook> {
        state.known()?;
        if self.from < 1 {
            return Err(WebhookRefusal::BadPosition);
        }
        Ok(vec![WebhookEvent::WebhookReplayRequested { from: self.from }])
    }

    fn example() -> Value {
        json!({ "webhook_id": "01935c2e-0000-7000-8000-000000000d01", "from": 4711 })
    }
}

impl Command for SendTestWebhook {
    type Aggregate = Webhook;
    const NAME: &'static str = "SendTestWebhook";
    const ROLES: &'static [Role] = OWNERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.webhook_id.0
    }

    /// Each asking is a test of its own.
    fn decide(self, state: &Webhook, _: &Context) -> Decision<Webhook> {
        state.known()?;
        Ok(vec![WebhookEvent::WebhookTestRequested {}])
    }

    fn example() -> Value {
        json!({ "webhook_id": "01935c2e-0000-7000-8000-000000000d01" })
    }
}

impl Command for RemoveWebhook {
    type Aggregate = Webhook;
    const NAME: &'static str = "RemoveWebhook";
    const ROLES: &'static [Role] = OWNERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.webhook_id.0
    }

    fn decide(self, state: &Webhook, _: &Context) -> Decision<Webhook> {
        if state.situation == Situation::Removed {
            return Ok(vec![]);
        }
        state.known()?;
        Ok(vec![WebhookEvent::WebhookRemoved {}])
    }

    fn example() -> Value {
        json!({ "webhook_id": "01935c2e-0000-7000-8000-000000000d01" })
    }
}

#[cfg(test)]
mod tests;
