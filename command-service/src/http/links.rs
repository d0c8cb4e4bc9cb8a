//! Links into Stripe: onboarding forms and the account's dashboard.

use domain::StripeAccount;
use edge::{Caller, Problem};
use events::Role;
use poem::{
    Response, handler,
    http::StatusCode,
    web::{Data, Path},
};
use processes::ports::Outcome;
use serde_json::json;
use uuid::Uuid;

use super::{CommandState, respond};
use crate::Fault;

/// Who may enter Stripe from here.
pub const ROLES: &[Role] = &[Role::OrganizationManager];

async fn external(state: &CommandState, caller: &Caller, id: &str) -> Result<String, Problem> {
    caller.admit(ROLES)?;
    let missing = || Problem::missing("there is no such Stripe account");
    let id: Uuid = id.parse().map_err(|_| missing())?;
    let account: StripeAccount = match state.effects.engine.state(caller.organization, id).await {
        // Another organization's is to us what does not exist, to the word.
        Err(Fault::Missing) => return Err(missing()),
        account => account?,
    };
    if !account.exists() {
        return Err(missing());
    }
    account.external().map(ToOwned::to_owned).ok_or_else(|| {
        Problem::conflict(
            "not-connected",
            "the account is not open at Stripe yet, or is disconnected; try again in a moment",
        )
    })
}

fn link(outcome: Outcome<String>) -> Result<Response, Problem> {
    match outcome {
        Outcome::Done(url) => Ok(respond(StatusCode::CREATED, &json!({ "url": url }))),
        Outcome::Refused(refused) => Err(Problem::conflict("refused-by-stripe", refused.code)),
        Outcome::Retry { .. } | Outcome::Unknown { .. } => {
            Err(Problem::unavailable("stripe", "Stripe does not answer at the moment; try again", 5))
        }
    }
}

#[handler]
pub async fn onboarding(
    Path(id): Path<String>,
    caller: Caller,
    state: Data<&CommandState>,
) -> Result<Response, Problem> {
    let account = external(&state, &caller, &id).await?;
    let back = format!("{}/settings/payments", state.effects.providers.public_url);
    link(state.effects.providers.stripe.onboarding_link(&account, &back, &back).await)
}

#[handler]
pub async fn dashboard(
    Path(id): Path<String>,
    caller: Caller,
    state: Data<&CommandState>,
) -> Result<Response, Problem> {
    let account = external(&state, &caller, &id).await?;
    // Accounts have Stripe's full dashboard: its owner signs in there with their own credentials.
    link(Outcome::Done(format!("https://dashboard.stripe.com/{account}")))
}
