//! `POST /v1/webhooks`: an organization's own webhooks, whose secrets are made here, shown once, and kept wrapped.

use domain::webhook::{RegisterWebhook, RotateWebhookSecret};
use edge::{Caller, Problem};
use events::{
    EmailAddress, Language, PropertyId, Role, WebhookId,
    text::Line,
    webhook::{TargetUrl, TypeName},
};
use integrations::outbound::{self, Targets};
use poem::{
    Body, Request, Response, handler,
    http::StatusCode,
    web::{Data, Path},
};
use public_events::Selection;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{CommandState, KNOWN, respond, typed};
use crate::{Answer, Ask, courier::secrets, engine::answer_json};

/// Who decides where events go.
pub const ROLES: &[Role] = &[Role::OrganizationManager];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    url: TargetUrl,
    #[serde(default)]
    description: Option<Line<200>>,
    #[serde(default)]
    types: Vec<TypeName>,
    #[serde(default)]
    property_id: Option<PropertyId>,
    notice_email: EmailAddress,
    #[serde(default)]
    language: Language,
    #[serde(default)]
    from: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSecret {
    #[serde(default)]
    overlap_hours: Option<u32>,
}

/// What only the edge can judge: whether an address may be sent to from here, and whether types are ones.
fn judge<'a>(url: Option<&str>, types: impl Iterator<Item = &'a str>, targets: Targets) -> Result<(), Problem> {
    if let Some(url) = url {
        outbound::check(url, targets)
            .map_err(|problem| Problem::invalid("target-refused", problem.to_string()).with("at", json!("url")))?;
    }
    known_types(types)
}

/// Whether all of these name types of public events.
pub fn known_types<'a>(types: impl Iterator<Item = &'a str>) -> Result<(), Problem> {
    for name in types {
        Selection::parse(name)
            .map_err(|unknown| Problem::invalid("unknown-type", unknown.to_string()).with("at", json!("types")))?;
    }
    Ok(())
}

/// Judges a command about a webhook that comes by name. What is no such command is refused by whoever reads it next.
pub fn judge_command(name: &str, body: &Value, targets: Targets) -> Result<(), Problem> {
    if name != "ChangeWebhook" {
        return Ok(());
    }
    let types = body["types"].as_array().into_iter().flatten().filter_map(Value::as_str);
    judge(body["url"].as_str().map(str::trim), types, targets)
}

fn fresh(request: &Request, caller: &Caller) -> Result<Ask, Problem> {
    let mut ask = super::ask(caller, request)?;
    // A secret cannot be shown twice, so a repeated key cannot be answered.
    if ask.idempotency_key.take().is_some() {
        return Err(Problem::malformed(
            "secrets are made without Idempotency-Key; remove or rotate what you do not need",
        ));
    }
    Ok(ask)
}

fn shown(answer: &Answer, secret: &integrations::Secret) -> Response {
    let told = answer_json(answer);
    let body = json!({
        "webhook_id": answer.appended.stream_id, "secret": secret.expose(), "version": answer.appended.version,
        "position": told["position"], "consistency_token": told["consistency_token"],
    });
    respond(StatusCode::CREATED, &body)
}

#[handler]
pub async fn register(
    caller: Caller,
    state: Data<&CommandState>,
    request: &Request,
    body: Body,
) -> Result<Response, Problem> {
    caller.admit(ROLES)?;
    let wanted: NewWebhook = typed(request, body, &KNOWN).await?;
    let ask = fresh(request, &caller)?;
    let effects = &state.effects;
    let targets = effects.providers.webhooks.targets();
    judge(Some(wanted.url.as_str()), wanted.types.iter().map(TypeName::as_str), targets)?;
    let webhook_id = WebhookId(Uuid::now_v7());
    let made = secrets::make_first(effects.engine.store(), caller.organization, webhook_id).await?;
    let Some((secret_id, secret)) = made else {
        let most = secrets::MOST_WEBHOOKS;
        let detail = format!("an organization has at most {most} webhooks; remove one, or let one serve more types");
        return Err(Problem::conflict("too-many-webhooks", detail));
    };
    let NewWebhook { url, description, types, property_id, notice_email, language, from } = wanted;
    let command =
        RegisterWebhook { webhook_id, url, description, types, property_id, notice_email, language, secret_id, from };
    let answer = secrets::name(&effects.engine, command, &ask, secret_id).await?;
    Ok(shown(&answer, &secret))
}

#[handler]
pub async fn rotate(
    Path(id): Path<String>,
    caller: Caller,
    state: Data<&CommandState>,
    request: &Request,
    body: Body,
) -> Result<Response, Problem> {
    caller.admit(ROLES)?;
    let webhook_id = WebhookId(id.parse().map_err(|_| Problem::missing("there is no such webhook"))?);
    let wanted: NewSecret = typed(request, body, &KNOWN).await?;
    let ask = fresh(request, &caller)?;
    let effects = &state.effects;
    // It counts only once the webhook names it: made for another's webhook, it opens nothing.
    let (secret_id, secret) = secrets::make(effects.engine.store(), caller.organization, webhook_id).await?;
    let command = RotateWebhookSecret { webhook_id, secret_id, overlap_hours: wanted.overlap_hours };
    let answer = secrets::name(&effects.engine, command, &ask, secret_id).await?;
    Ok(shown(&answer, &secret))
}
