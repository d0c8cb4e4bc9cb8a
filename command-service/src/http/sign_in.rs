//! Residents sign in by a link in an e-mail: asked for here, followed here, a session in a cookie.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use domain::sign_in::{CloseSession, OpenSession, RequestSignInLink, SESSION_LASTS};
use edge::{Caller, Problem, caller::SESSION_COOKIE};
use events::{EmailAddress, OrganizationId, ResidentId, Role, SignInId};
use poem::{
    Body, IntoResponse, Request, Response, handler,
    http::StatusCode,
    web::{
        Data, Html,
        cookie::{Cookie, CookieJar, SameSite},
    },
};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{CommandState, STRANGERS, respond, typed};
use crate::{Ask, Engine, Fault};

/// Links that one mailbox may ask for within the window.
const MOST_PER_MAILBOX: usize = 10;
/// Links that one client may: a whole building may share an address.
const MOST_PER_CLIENT: usize = 120;
const WINDOW: Duration = Duration::from_secs(900);

/// Counts recent requests for links, per client and per mailbox.
#[derive(Debug, Clone, Default)]
pub struct SignInLimits(Arc<Mutex<HashMap<String, Vec<Instant>>>>);

impl SignInLimits {
    fn admit(&self, key: &str, most: usize) -> Result<(), Problem> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() > 100_000 {
            seen.clear();
        }
        let times = seen.entry(key.to_owned()).or_default();
        times.retain(|time| time.elapsed() < WINDOW);
        if times.len() >= most {
            return Err(Problem::too_many(WINDOW.as_secs()));
        }
        times.push(Instant::now());
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkRequest {
    email: EmailAddress,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionRequest {
    link: String,
}

/// Always 202: whether the address is known is nobody's business.
#[handler]
pub async fn request_link(state: Data<&CommandState>, request: &Request, body: Body) -> Result<Response, Problem> {
    let wanted: LinkRequest = typed(request, body, &STRANGERS).await?;
    let client = state.authenticator.address(request).unwrap_or_default();
    state.sign_in_limits.admit(&format!("client/{client}"), MOST_PER_CLIENT)?;
    state.sign_in_limits.admit(&format!("mailbox/{}", wanted.email.normalized()), MOST_PER_MAILBOX)?;
    let (engine, email) = (state.effects.engine.clone(), wanted.email);
    // Beside the answer: how long it takes must not tell whether the address is known.
    tokio::spawn(async move {
        if let Err(fault) = send_links(&engine, &email, client).await {
            tracing::error!(error = %fault, "sign-in links could not be requested");
        }
    });
    Ok(respond(StatusCode::ACCEPTED, &json!({ "detail": "if the address is known, a link is on its way" })))
}

/// Requests a link for each resident whose address it is.
async fn send_links(engine: &Engine, email: &EmailAddress, client: String) -> Result<(), Fault> {
    let residents: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "select organization_id, resident_id from read.resident
         where lower(email) = $1 and status = 'Active' order by resident_id limit 20",
    )
    .bind(email.normalized())
    .fetch_all(engine.store().pool())
    .await?;
    for (organization, resident) in residents {
        let ask = Ask {
            client_address: Some(client.clone()),
            ..Ask::internal(OrganizationId(organization), Role::Process, "sign-in", Uuid::now_v7())
        };
        let command = RequestSignInLink { sign_in_id: SignInId(Uuid::now_v7()), resident_id: ResidentId(resident) };
        match engine.execute(command, &ask).await {
            Ok(_) | Err(Fault::Refused { .. }) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

/// Trades a link for a session.
#[handler]
pub async fn open(
    state: Data<&CommandState>,
    request: &Request,
    jar: &CookieJar,
    body: Body,
) -> Result<Response, Problem> {
    let wanted: SessionRequest = typed(request, body, &STRANGERS).await?;
    let credentials = &state.effects.credentials;
    let invalid = || Problem::invalid("invalid-link", "the link is not valid; ask for a new one");
    let id = credentials.check_link(&wanted.link).ok_or_else(invalid)?;
    let engine = &state.effects.engine;
    // The link's secret proves the id; whose it is stands with its first event.
    let organization: Option<Uuid> = sqlx::query_scalar(
        "select organization_id from log.entries where aggregate_type = 'sign-in' and aggregate_id = $1 and sequence = 1",
    )
    .bind(id.to_string())
    .fetch_optional(engine.store().pool())
    .await?;
    let organization = OrganizationId(organization.ok_or_else(invalid)?);
    let ask = Ask {
        client_address: state.authenticator.address(request),
        wants_position: true,
        ..Ask::internal(organization, Role::Process, "sign-in", Uuid::now_v7())
    };
    let answer = engine.execute(OpenSession { sign_in_id: id }, &ask).await?;
    state.authenticator.await_session(id).await?;
    let mut cookie = Cookie::new_with_str(SESSION_COOKIE, credentials.session(id));
    cookie.set_path("/");
    cookie.set_http_only(true);
    cookie.set_same_site(SameSite::Strict);
    cookie.set_secure(state.secure_cookies);
    cookie.set_max_age(SESSION_LASTS.to_std().unwrap_or_default());
    jar.add(cookie);
    Ok(respond(StatusCode::CREATED, &json!({ "session_id": id, "position": answer.position })))
}

/// Signs the caller out.
#[handler]
pub async fn close(
    caller: Caller,
    state: Data<&CommandState>,
    request: &Request,
    jar: &CookieJar,
) -> Result<Response, Problem> {
    caller.admit(&[Role::Resident])?;
    let id =
        caller.name.strip_prefix("session:").and_then(|id| id.parse().ok()).ok_or_else(Problem::unauthenticated)?;
    let ask = super::ask(&caller, request)?;
    state.effects.engine.execute(CloseSession { sign_in_id: SignInId(id) }, &ask).await?;
    let mut gone = Cookie::named(SESSION_COOKIE);
    gone.set_path("/");
    gone.make_removal();
    jar.add(gone);
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Where the e-mail's link leads: a page with a button, so that a mail scanner's visit does not use the link up.
#[handler]
pub fn page() -> Html<&'static str> {
    Html(include_str!("sign_in.html"))
}
