//! `POST /v1/commands/{Name}`: one endpoint for every command of the registry.

use edge::{Caller, Problem};
use poem::{
    Body, Request, Response, handler,
    http::StatusCode,
    web::{Data, Path},
};

use super::{CommandState, ask, endpoints, json, respond};
use crate::engine::answer_json;

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
    let body = json(request, body).await?;
    endpoints::judge_command(&name, &body, effects.providers.webhooks.targets())?;
    let answer = effects.registry.execute(&effects.engine, &name, body, ask).await?;
    let told = answer_json(&answer);
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
