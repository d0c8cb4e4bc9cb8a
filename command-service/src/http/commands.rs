//! `POST /v1/commands/{Name}`: one endpoint for every command of the registry.

use domain::{Command, Resident, resident::EraseResident};
use edge::{Caller, Problem};
use events::{OrganizationId, Purpose, ResidentId, resident::RetentionRule};
use poem::{
    Body, Request, Response, handler,
    http::StatusCode,
    web::{Data, Path},
};

use serde_json::{Value, json as object};
use uuid::Uuid;

use super::{CommandState, KNOWN, ask, endpoints, json, respond};
use crate::{
    Fault,
    effects::{Effects, destroy},
    engine::answer_json,
};

#[handler]
pub async fn execute(
    Path(name): Path<String>,
    caller: Caller,
    state: Data<&CommandState>,
    request: &Request,
    body: Body,
) -> Result<Response, Problem> {
    let effects = &state.effects;
    let entry = effects.registry.get(&name).filter(|entry| entry.is_public());
    entry.ok_or_else(|| Problem::from(crate::Fault::UnknownCommand))?;
    let ask = ask(&caller, request)?;
    let organization = ask.organization;
    let body = json(request, body, &KNOWN).await?;
    endpoints::judge_command(&name, &body, effects.providers.webhooks.targets())?;
    let answer = effects.registry.execute(&effects.engine, &name, body, ask).await?;
    let mut told = answer_json(&answer);
    if name == EraseResident::NAME {
        told["erasure"] = erasure_json(effects, organization, answer.appended.stream_id).await?;
    }
    let mut response = respond(StatusCode::OK, &told);
    let headers = response.headers_mut();
    if let Ok(tag) = format!("\"{}\"", answer.appended.version).parse() {
        headers.insert("etag", tag);
    }
    if let Some(value) = told["consistency_token"].as_str().and_then(|token| token.parse().ok()) {
        headers.insert("propty-position", value);
    }
    Ok(response)
}

/// Destroys what an erasure has to destroy, and says what is gone, what is not yet, and what the law keeps: as it stands now, also
/// when it was asked for before. The effect of the event does the same; here it is done at once, so that the answer can say so, and
/// again for who asks again.
async fn erasure_json(effects: &Effects, organization: OrganizationId, id: Uuid) -> Result<Value, Fault> {
    let engine = &effects.engine;
    let resident: Resident = engine.state(organization, id).await?;
    let kept: Vec<Value> = resident
        .retained
        .iter()
        .map(|kept| {
            let rule = kept.rule.unwrap_or(RetentionRule::of(kept.purpose));
            object!({ "purpose": kept.purpose, "until": kept.until, "rule": rule, "reason": rule.reason() })
        })
        .collect();
    let is_kept = |purpose: &Purpose| resident.retained.iter().any(|kept| kept.purpose == *purpose);
    let gone: Vec<Purpose> = Purpose::ALL.into_iter().filter(|purpose| resident.erased && !is_kept(purpose)).collect();
    if let Err(error) = destroy(effects, organization, ResidentId(id), &gone).await {
        tracing::error!(%error, resident = %id, "an erasure's keys could not be destroyed at once; its task goes on with it");
    }
    let known = engine.store().keyring().destroyed(organization, id).await?;
    let (destroyed, pending): (Vec<Purpose>, Vec<Purpose>) = gone.into_iter().partition(|one| known.contains(one));
    Ok(object!({ "destroyed": destroyed, "pending": pending, "retained": kept }))
}
