//! What a provider's error code asks for: the end of a consent, a halted sender, a person's look, another try.

use domain::{
    TextMessage,
    sms_consent::{RecordProviderBlock, RecordUndeliverable},
    text_message::{Phase, RequestText},
};
use events::{OrganizationId, TextId, text_message::TextClass};
use integrations::twilio::problem;
use letters::{choose_text, text_version};
use processes::ports::TextProblem;
use sqlx::PgPool;

use crate::{
    Fault,
    effects::Effects,
    outbox::{Done, Task},
};

/// How often a text that did not arrive is tried anew.
const TRIES: usize = 2;
/// The name of the effect by which a sender is halted.
const EFFECT: &str = "ActOnTextError";

fn halted(sender: &str) -> String {
    format!("sender {sender} is halted: the provider does not let it send")
}

/// Whether a person has yet to see to a sender that may not send. Dropping the task that says so lets it send again.
pub(super) async fn is_halted(pool: &PgPool, sender: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (select 1 from engine.outbox where state = 'unresolved' and name = $1 and last_error = $2)",
    )
    .bind(EFFECT)
    .bind(halted(sender))
    .fetch_one(pool)
    .await
}

/// Acts on the code with which a text failed.
pub async fn act(effects: &Effects, task: &Task, text_id: TextId, code: u32) -> Result<Done, Fault> {
    let text: TextMessage = effects.engine.state(task.organization, text_id.0).await?;
    let (Some(request), Some(frozen)) = (&text.request, &text.frozen) else { return Ok(Done::Finished) };
    let (resident_id, number_key, ask) = (request.resident, frozen.number_key, effects.ask(task));
    // Whether or not texts are sent at present: what a number's owner told the provider is to be known when they are again.
    let sender = effects.providers.texts.as_ref().map(|texts| texts.sender());
    match problem(code) {
        TextProblem::Blocked => {
            effects.engine.execute(RecordProviderBlock { resident_id, number_key, code }, &ask).await?;
            Ok(Done::Finished)
        }
        TextProblem::Undeliverable => {
            effects.engine.execute(RecordUndeliverable { resident_id, number_key, code }, &ask).await?;
            Ok(Done::Finished)
        }
        TextProblem::Filtered => Ok(Done::Unresolved(format!(
            "a carrier filtered the text ({code}); look at its wording before more are sent"
        ))),
        TextProblem::SenderHalted => match sender {
            // One task is enough to halt it.
            Some(sender) if is_halted(effects.engine.store().pool(), sender).await? => Ok(Done::Finished),
            Some(sender) => Ok(Done::Unresolved(halted(sender))),
            // Nothing is sent anyway.
            None => Ok(Done::Finished),
        },
        TextProblem::Passing | TextProblem::BackOff | TextProblem::Expired | TextProblem::Other => Ok(Done::Finished),
    }
}

/// Requests a text anew that did not arrive for a passing reason; consent and hours are looked at as for any other.
pub async fn again(effects: &Effects, task: &Task, text_id: TextId, code: u32) -> Result<Done, Fault> {
    let engine = &effects.engine;
    let text: TextMessage = engine.state(task.organization, text_id.0).await?;
    let (Some(request), Some(_)) = (&text.request, &effects.providers.texts) else { return Ok(Done::Finished) };
    let passing = match problem(code) {
        TextProblem::Passing | TextProblem::BackOff | TextProblem::Expired => true,
        TextProblem::Blocked
        | TextProblem::Undeliverable
        | TextProblem::Filtered
        | TextProblem::SenderHalted
        | TextProblem::Other => false,
    };
    // A report that it arrived after all may have come meanwhile.
    let missed = matches!(text.phase, Phase::Failed | Phase::Undelivered);
    let worthwhile = request.class() == TextClass::Programme;
    if !passing || !missed || !worthwhile || tries(effects, task.organization, &request.cause).await? >= TRIES {
        return Ok(Done::Finished);
    }
    let anew = TextId::derived(text_id.0, "again");
    if engine.state::<TextMessage>(task.organization, anew.0).await?.request.is_some() {
        return Ok(Done::Finished);
    }
    let kind = request.content.kind();
    let (language, fallback) = choose_text(kind, request.language);
    let command = RequestText {
        text_id: anew,
        resident_id: request.resident,
        property_id: request.property,
        content: request.content.clone(),
        language,
        fallback,
        template: text_version(kind),
        cause: task.causation.clone(),
    };
    engine.execute(command, &effects.ask(task)).await?;
    Ok(Done::Finished)
}

/// How many tries went before: each names the one that it repeats as its cause.
async fn tries(effects: &Effects, organization: OrganizationId, cause: &str) -> Result<usize, Fault> {
    let mut cause = cause.to_owned();
    for tried in 0..TRIES {
        let before = cause.strip_prefix("text/").and_then(|rest| rest.split('/').next()?.parse().ok());
        let Some(before) = before else { return Ok(tried) };
        let text: TextMessage = effects.engine.state(organization, before).await?;
        match text.request {
            Some(request) => cause = request.cause,
            None => return Ok(tried),
        }
    }
    Ok(TRIES)
}
