//! `POST /v1/commands/{Name}`: one endpoint for every command of the registry.

use domain::{Command, Resident, resident::EraseResident};
use edge::{Caller, Problem};
use events::{OrganizationId, Purpose, resident::RetentionRule};
use poem::{
    Body, Request, Response, handler,
    http::StatusCode,
    web::{Data, Path},
};

use serde_json::{Value, json as object};
use uuid::Uuid;

use super::{CommandState, KNOWN, ask, endpoints, json, respond};
use crate::{Engine, Fault, engine::answer_json};

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
        told["erasure"] = erasure_json(&effects.engine, organization, answer.appended.stream_id).await?;
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

/// What an erasure destroyed, and what the law keeps: as it stands now, also when it was asked for before.
async fn erasure_json(engine: &Engine, organization: OrganizationId, id: Uuid) -> Result<Value, Fault> {
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
    let destroyed: Vec<Purpose> = Purpose::ALL.into_iter().filter(|purpose| !is_kept(purpose)).collect();
    Ok(object!({ "destroyed": destroyed, "retained": kept }))
}
