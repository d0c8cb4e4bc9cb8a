//! What Stripe says of a set-up: active only once Stripe confirms the method.

use events::{
    AutopayEvent, AutopayId, OrganizationId, Purpose, Role, Sealed, SetupId,
    autopay::{AutopayMethod, ResumeReason},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Autopay, AutopayRefusal, PROCESS, Setup, Stage};
use crate::{Command, Context, Decision};

/// Stripe's word for where a `SetupIntent` stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SetupState {
    AwaitingMethod,
    ActionRequired,
    /// Two small deposits are on their way.
    Microdeposits,
    Processing,
    Succeeded,
    Failed,
    Canceled,
}

/// Merges what Stripe says of the `SetupIntent` now.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordSetup {
    pub autopay_id: AutopayId,
    pub setup_id: SetupId,
    /// Stripe's `acct_…`.
    pub account: String,
    /// Stripe's `cus_…`.
    pub customer: String,
    /// Stripe's `seti_…`.
    pub setup_intent: String,
    pub client_secret: Option<String>,
    pub state: SetupState,
    /// Required when it succeeded.
    pub method: Option<AutopayMethod>,
    /// Why it failed, or why the last try did.
    pub code: Option<String>,
}

/// Records that Stripe would not begin the set-up.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailSetup {
    pub autopay_id: AutopayId,
    pub setup_id: SetupId,
    pub code: String,
}

/// The newest set-up, or none when the report is about an older or a cancelled one.
fn newest(state: &Autopay, id: SetupId) -> Result<Option<&Setup>, AutopayRefusal> {
    state.known()?;
    if !state.setups.iter().any(|(known, ..)| *known == id) {
        return Err(AutopayRefusal::NoSuchSetup);
    }
    Ok(state.setup.as_ref().filter(|setup| setup.id == id))
}

impl Command for RecordSetup {
    type Aggregate = Autopay;
    const NAME: &'static str = "RecordSetup";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.autopay_id.0
    }

    fn decide(self, state: &Autopay, _: &Context) -> Decision<Autopay> {
        let resident = state.known()?;
        let Some(setup) = newest(state, self.setup_id)? else { return Ok(vec![]) };
        let differs = |known: &Option<String>, told: &str| known.as_deref().is_some_and(|known| known != told);
        if differs(&setup.intent, &self.setup_intent) || differs(&setup.external, &self.account) {
            return Err(AutopayRefusal::OtherIntent);
        }
        let mut events = Vec::new();
        // A webhook knows no secret: when it comes before the answer, the answer completes it.
        let secret = self.client_secret.clone().filter(|_| setup.stage != Stage::Succeeded && !setup.has_secret);
        if setup.intent.is_none() || secret.is_some() {
            events.push(AutopayEvent::AutopaySetupSubmitted {
                setup_id: self.setup_id,
                setup_intent: self.setup_intent.clone(),
                customer: self.customer.clone(),
                account: self.account.clone(),
                client_secret: secret
                    .map_or(Sealed::Erased, |secret| Sealed::new(resident.0, Purpose::Finance, secret)),
            });
        }
        events.extend(self.news(state, setup)?);
        Ok(events)
    }

    fn example() -> Value {
        Value::Null
    }
}

impl RecordSetup {
    fn news(self, state: &Autopay, setup: &Setup) -> Decision<Autopay> {
        let setup_id = self.setup_id;
        let asked = |microdeposits| match setup.stage {
            Stage::Open | Stage::ActionRequired { .. } if setup.stage != Stage::ActionRequired { microdeposits } => {
                vec![AutopayEvent::AutopaySetupActionRequired { setup_id, microdeposits }]
            }
            Stage::Open | Stage::ActionRequired { .. } | Stage::Failed | Stage::Succeeded => vec![],
        };
        Ok(match self.state {
            SetupState::Succeeded => activated(state, setup, self.method.ok_or(AutopayRefusal::NoMethodReported)?),
            SetupState::Failed | SetupState::Canceled => {
                failed(setup, self.code.unwrap_or_else(|| "canceled".to_owned()))
            }
            SetupState::ActionRequired => asked(false),
            SetupState::Microdeposits => asked(true),
            // In the form another card can be tried; deposits that could not be verified end it, nobody sits in front of them.
            SetupState::AwaitingMethod => match self.code {
                Some(code) if setup.stage == (Stage::ActionRequired { microdeposits: true }) => failed(setup, code),
                Some(_) | None => vec![],
            },
            SetupState::Processing => vec![],
        })
    }
}

/// A set-up that was taken for failed can turn out to have succeeded, never the other way round.
fn activated(state: &Autopay, setup: &Setup, method: AutopayMethod) -> Vec<AutopayEvent> {
    if setup.stage == Stage::Succeeded {
        return vec![];
    }
    let replaces = state.method().map(|old| &old.payment_method).filter(|old| **old != method.payment_method).cloned();
    let mut events = vec![AutopayEvent::AutopayActivated { setup_id: setup.id, method, replaces }];
    if state.pause().is_some() {
        let because = ResumeReason::NewMethod;
        events.push(AutopayEvent::AutopayResumed { because, waiting: state.waiting() });
    }
    events
}

fn failed(setup: &Setup, code: String) -> Vec<AutopayEvent> {
    match setup.stage {
        Stage::Open | Stage::ActionRequired { .. } => {
            vec![AutopayEvent::AutopaySetupFailed { setup_id: setup.id, code }]
        }
        Stage::Failed | Stage::Succeeded => vec![],
    }
}

impl Command for FailSetup {
    type Aggregate = Autopay;
    const NAME: &'static str = "FailSetup";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.autopay_id.0
    }

    fn decide(self, state: &Autopay, _: &Context) -> Decision<Autopay> {
        Ok(newest(state, self.setup_id)?.map_or_else(Vec::new, |setup| failed(setup, self.code)))
    }

    fn example() -> Value {
        Value::Null
    }
}
