//! Texts: looked at when they are due, authorized by the consent, frozen before they are handed over, never handed over twice.
//!
//! The provider knows no idempotency keys. Whether it was called is written before it is; from then on a text whose answer was lost is
//! looked up, and after a while left to a person.

mod errors;
mod look;
mod wording;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Resident, SmsConsent, TextMessage,
    segments::{self, Encoding},
    sms_consent::{Authority, AuthorizeText, SmsConsentRefusal},
    text_message::{DeferText, Frozen, Phase, RecordText, Request, SubmitText, SuppressText, TextReport},
};
use events::{
    OrganizationId, TextId,
    text_message::{TextClass, TextDeferral, TextEncoding, TextSuppression},
};
use processes::ports::{Outcome, OutgoingText, TextSnapshot, TextStatus, Texts};

use super::{Effects, backoff, unknown};
use crate::{
    Fault,
    outbox::{Done, Task},
    recipients,
};
use look::{Hours, Look};

pub use errors::{act, again};
pub use look::facts_of_property;
pub use wording::{preview_of, reference};

/// How long a text waits for a person to read what may mean "stop".
const UNTIL_READ: TimeDelta = TimeDelta::hours(1);
/// The provider keeps a text no longer than this, so that nobody is told of yesterday.
const LONGEST_VALIDITY: TimeDelta = TimeDelta::hours(4);
/// An answer to a word, and a code, are no use later.
const PROMPT_VALIDITY: TimeDelta = TimeDelta::minutes(5);
/// Attempts at a provider that is at its limit, the last of them minutes apart.
const ENOUGH: i32 = 40;

/// Whether a text may go out at this moment.
enum Leave {
    Yes {
        authority: Authority,
        valid_for: TimeDelta,
    },
    Wait {
        until: DateTime<Utc>,
        reason: TextDeferral,
    },
    No(TextSuppression),
    /// There is no hour at which it could.
    Never,
    /// Something moved meanwhile: look again.
    Again(String),
}

/// Does what the text's state asks for next.
pub async fn send(effects: &Effects, task: &Task, id: TextId) -> Result<Done, Fault> {
    let text: TextMessage = effects.engine.state(task.organization, id.0).await?;
    let Some(request) = &text.request else { return Ok(Done::Finished) };
    match (text.phase, &text.frozen) {
        (Phase::Requested | Phase::Deferred, _) => decide(effects, task, id, &text, request).await,
        // Between the intent and the call: nothing was handed over, and everything is looked at again.
        (Phase::Sending, Some(frozen)) if !task.interrupted => resume(effects, task, id, request, frozen).await,
        (Phase::Sending | Phase::Unknown, Some(frozen)) => find(effects, task, id, frozen).await,
        (
            Phase::None
            | Phase::Suppressed
            | Phase::Sending
            | Phase::Unknown
            | Phase::Accepted
            | Phase::Sent
            | Phase::Failed
            | Phase::Undelivered
            | Phase::Delivered,
            _,
        ) => Ok(Done::Finished),
    }
}

/// The last look, and the intent.
async fn decide(
    effects: &Effects,
    task: &Task,
    text_id: TextId,
    text: &TextMessage,
    request: &Request,
) -> Result<Done, Fault> {
    let (engine, ask) = (&effects.engine, effects.ask(task));
    if let Some(until) = text.deferred_until.filter(|until| engine.clock().now() < *until) {
        return Ok(Done::At { when: until, why: "deferred" });
    }
    let look = Look::take(effects, task.organization, request).await?;
    let grounds = look.grounds(request.resident, engine.clock().now());
    let suppress = |reason| SuppressText { text_id, reason, grounds: grounds.clone() };
    let Some(texts) = effects.providers.texts.clone() else {
        engine.execute(suppress(TextSuppression::SenderHalted), &ask).await?;
        return Ok(Done::Finished);
    };
    let (authority, valid_for) = match leave(effects, task, text_id, request, &look, texts.as_ref()).await? {
        Leave::Yes { authority, valid_for } => (authority, valid_for),
        Leave::No(reason) => {
            engine.execute(suppress(reason), &ask).await?;
            return Ok(Done::Finished);
        }
        Leave::Wait { until, reason } => {
            engine.execute(DeferText { text_id, until, reason, grounds: grounds.clone() }, &ask).await?;
            return Ok(Done::At { when: until, why: "deferred" });
        }
        Leave::Never => return Ok(Done::Unresolved("no hour is permitted wherever the recipient may be".to_owned())),
        Leave::Again(why) => return Ok(Done::Again { after: backoff(task.attempts), why }),
    };
    let Some(number) = authority.number.value() else {
        engine.execute(suppress(TextSuppression::ResidentErased), &ask).await?;
        return Ok(Done::Finished);
    };
    if request.class() == TextClass::Code
        && !recipients::may_get_code(engine, task.organization, authority.number_key, text_id).await?
    {
        engine.execute(suppress(TextSuppression::TooManyCodes), &ask).await?;
        return Ok(Done::Finished);
    }
    let reference = reference(text_id);
    let body = wording::write(effects, task.organization, request, &look, &reference);
    let counted = segments::count(&body);
    // Before the first text goes there, so that its answer finds whom it is from.
    recipients::remember(engine.store().pool(), task.organization, authority.number_key, request.resident).await?;
    let submit = SubmitText {
        text_id,
        body: body.clone(),
        grounds: look.grounds(request.resident, engine.clock().now()),
        encoding: match counted.encoding {
            Encoding::Gsm7 => TextEncoding::Gsm7,
            Encoding::Ucs2 => TextEncoding::Ucs2,
        },
        segments: u32::try_from(counted.segments).unwrap_or(u32::MAX),
        reference: reference.clone(),
        provider: texts.name().to_owned(),
    };
    match engine.execute(submit, &ask).await {
        Ok(_) => {}
        // The authority ran out, or the consent ended after it was given.
        Err(Fault::Refused { message, .. }) => {
            return Ok(Done::Again { after: backoff(task.attempts), why: message });
        }
        Err(fault) => return Err(fault),
    }
    let outgoing = outgoing(task.organization, text_id, number.as_str(), body, reference, valid_for);
    hand_over(effects, task, texts.as_ref(), &outgoing, request, &authority).await
}

/// A text whose intent is committed and which was surely not handed over: a worker died, or the provider was at its limit.
async fn resume(
    effects: &Effects,
    task: &Task,
    text_id: TextId,
    request: &Request,
    frozen: &Frozen,
) -> Result<Done, Fault> {
    let texts = effects.providers.texts.clone().filter(|texts| texts.name() == frozen.provider);
    let Some(texts) = texts else {
        return given_up(effects, task, text_id, "the provider is not in use any more").await;
    };
    let look = Look::take(effects, task.organization, request).await?;
    match leave(effects, task, text_id, request, &look, texts.as_ref()).await? {
        Leave::Yes { authority, valid_for } if stands_on(request, &authority, frozen) => {
            let (Some(number), Some(body)) = (frozen.number.value(), frozen.body.value()) else {
                return given_up(effects, task, text_id, "the resident's data was erased").await;
            };
            let reference = frozen.reference.clone();
            let outgoing = outgoing(task.organization, text_id, number.as_str(), body.clone(), reference, valid_for);
            hand_over(effects, task, texts.as_ref(), &outgoing, request, &authority).await
        }
        // What is on record names what it stands on: under another grant, or to another number, it would be another text.
        Leave::Yes { .. } => given_up(effects, task, text_id, "the consent changed before it was handed over").await,
        Leave::No(reason) => given_up(effects, task, text_id, &format!("{reason:?} before it was handed over")).await,
        Leave::Wait { until, .. } => {
            Ok(Done::At { when: until, why: "the permitted hours ended, or a person has to read" })
        }
        Leave::Never => given_up(effects, task, text_id, "no hour is permitted").await,
        Leave::Again(why) => Ok(Done::Again { after: backoff(task.attempts), why }),
    }
}

/// Whether leave was given now under the very consent that the text's record names.
fn stands_on(request: &Request, authority: &Authority, frozen: &Frozen) -> bool {
    let consent = authority.consent.map(|version| SmsConsent::reference(request.resident, version));
    authority.number_key == frozen.number_key && consent == frozen.consent
}

/// What was never handed over is not sent any more.
async fn given_up(effects: &Effects, task: &Task, text_id: TextId, reason: &str) -> Result<Done, Fault> {
    let report = TextReport::Failed { code: None, reason: reason.to_owned() };
    effects.engine.execute(RecordText { text_id, report }, &effects.ask(task)).await?;
    Ok(Done::Refused(reason.to_owned()))
}

fn outgoing(
    organization: OrganizationId,
    text: TextId,
    to: &str,
    body: String,
    short_reference: String,
    valid_for: TimeDelta,
) -> OutgoingText {
    OutgoingText {
        to: to.to_owned(),
        body,
        short_reference,
        organization: organization.0,
        reference: text.0,
        valid_for: u32::try_from(valid_for.num_seconds()).unwrap_or(1),
    }
}

/// Everything that has to allow a text: the resident, the property, its cause, the sender, the hour, and last the consent.
async fn leave(
    effects: &Effects,
    task: &Task,
    text_id: TextId,
    request: &Request,
    look: &Look,
    texts: &dyn Texts,
) -> Result<Leave, Fault> {
    let engine = &effects.engine;
    if let Some(reason) = look.against(request) {
        return Ok(Leave::No(reason));
    }
    if errors::is_halted(engine.store().pool(), texts.sender()).await? {
        return Ok(Leave::No(TextSuppression::SenderHalted));
    }
    let now = engine.clock().now();
    let valid_for = match request.class() {
        // Without consent there is nothing to wait for: the consent says why not.
        TextClass::Programme => match look.number() {
            None => LONGEST_VALIDITY,
            Some(number) => match look.hours(number, now) {
                Hours::Open { until } => (until - now).min(LONGEST_VALIDITY),
                Hours::Closed { until } => return Ok(Leave::Wait { until, reason: TextDeferral::QuietHours }),
                Hours::Never => return Ok(Leave::Never),
            },
        },
        TextClass::Code | TextClass::Reply => PROMPT_VALIDITY,
    };
    let command = AuthorizeText { resident_id: request.resident, text_id, content: request.content.clone() };
    match engine.execute(command, &effects.ask(task)).await {
        Ok(_) => {}
        Err(Fault::Refused { code, message, .. }) => {
            return Ok(match SmsConsentRefusal::suppression(code) {
                Some(reason) => Leave::No(reason),
                None if code == "Paused" => {
                    Leave::Wait { until: now + UNTIL_READ, reason: TextDeferral::HeldForPerson }
                }
                None => Leave::Again(message),
            });
        }
        Err(fault) => return Err(fault),
    }
    let consent: SmsConsent = engine.state(task.organization, SmsConsent::id(request.resident)).await?;
    let authority = consent.authority(text_id).filter(|authority| engine.clock().now() < authority.expires_at);
    let Some(authority) = authority else { return Ok(Leave::Again("the authority ran out".to_owned())) };
    // Another number was confirmed between the look at the hours and the authority: its place may be another.
    let looked_at = request.class() != TextClass::Programme || look.number_key() == Some(authority.number_key);
    Ok(if looked_at {
        Leave::Yes { authority: authority.clone(), valid_for }
    } else {
        Leave::Again("the number changed".to_owned())
    })
}

/// The call, once: noted before it is made, and not made if the leave for it ended by then.
async fn hand_over(
    effects: &Effects,
    task: &Task,
    texts: &dyn Texts,
    outgoing: &OutgoingText,
    request: &Request,
    authority: &Authority,
) -> Result<Done, Fault> {
    let text_id = TextId(outgoing.reference);
    let ask = effects.ask(task);
    let record = |report| RecordText { text_id, report };
    effects.text_pace.spend();
    effects.calling(task).await?;
    // The last look: a STOP may have been understood since the intent was committed.
    let (consent, resident) = futures_util::try_join!(
        effects.engine.state::<SmsConsent>(task.organization, SmsConsent::id(request.resident)),
        effects.engine.state::<Resident>(task.organization, request.resident.0),
    )?;
    if consent.leave(text_id, &request.content, &resident, effects.engine.clock().now()) != Some(authority) {
        let why = "the leave to send it ended before the call".to_owned();
        return Ok(Done::Again { after: backoff(task.attempts), why });
    }
    match texts.send(outgoing).await {
        Outcome::Done(snapshot) => {
            record_snapshot(effects, task, text_id, &snapshot).await?;
            Ok(Done::Finished)
        }
        Outcome::Refused(refused) => {
            let (code, reason) = (refused.code.parse().ok(), refused.why);
            effects.engine.execute(record(TextReport::Failed { code, reason }), &ask).await?;
            Ok(Done::Refused(refused.code))
        }
        Outcome::Retry { why, .. } if task.attempts >= ENOUGH => given_up(effects, task, text_id, &why).await,
        Outcome::Retry { after, why } => Ok(Done::Again { after: after.max(backoff(task.attempts)), why }),
        Outcome::Unknown { cause, why } => {
            let why = unknown(cause, &why);
            effects.engine.execute(record(TextReport::Unknown { why: why.clone() }), &ask).await?;
            Ok(Done::Unsure { after: backoff(task.attempts), why })
        }
    }
}

/// A text that may have been handed over: looked for, never handed over again.
async fn find(effects: &Effects, task: &Task, text_id: TextId, frozen: &Frozen) -> Result<Done, Fault> {
    let ask = effects.ask(task);
    let noted = |why: &str| RecordText { text_id, report: TextReport::Unknown { why: why.to_owned() } };
    let lost = "the provider's answer was lost";
    effects.engine.execute(noted(lost), &ask).await?;
    let texts = effects.providers.texts.clone().filter(|texts| texts.name() == frozen.provider);
    let (Some(texts), Some(number)) = (texts, frozen.number.value()) else {
        return Ok(Done::Unresolved(format!("{lost}, and it cannot be looked for any more")));
    };
    // Since the last call: one before it may have been answered, and proves nothing of this one.
    let since = task.last_called_at.map_or(Duration::ZERO, |last| (Utc::now() - last).to_std().unwrap_or_default());
    let proven = since >= texts.appears_within();
    match texts.find(number.as_str(), &frozen.reference).await {
        Outcome::Done(Some(snapshot)) => {
            record_snapshot(effects, task, text_id, &snapshot).await?;
            Ok(Done::Finished)
        }
        // Absence proves nothing for a while, and then it is for a person to say so.
        Outcome::Done(None) if proven => {
            Ok(Done::Unresolved(format!("{lost}, and the provider does not show the text; say whether it was sent")))
        }
        Outcome::Done(None) => Ok(Done::Unsure { after: backoff(task.attempts), why: lost.to_owned() }),
        Outcome::Refused(refused) if proven => {
            Ok(Done::Unresolved(format!("{lost}, and looking for the text is refused: {}", refused.code)))
        }
        Outcome::Refused(refused) => Ok(Done::Unsure { after: backoff(task.attempts), why: refused.why }),
        Outcome::Retry { after, why } => Ok(Done::Unsure { after: after.max(backoff(task.attempts)), why }),
        Outcome::Unknown { why, .. } => Ok(Done::Unsure { after: backoff(task.attempts), why }),
    }
}

async fn record_snapshot(
    effects: &Effects,
    task: &Task,
    text_id: TextId,
    snapshot: &TextSnapshot,
) -> Result<(), Fault> {
    let accepted = TextReport::Accepted { provider_id: snapshot.id.clone() };
    for report in [Some(accepted), report(snapshot.status, snapshot.error)].into_iter().flatten() {
        effects.engine.execute(RecordText { text_id, report }, &effects.ask(task)).await?;
    }
    Ok(())
}

/// What a status says beyond that the provider has it.
pub fn report(status: TextStatus, code: Option<u32>) -> Option<TextReport> {
    match status {
        TextStatus::Accepted | TextStatus::Unrecognized => None,
        TextStatus::Sent => Some(TextReport::Sent),
        TextStatus::Delivered => Some(TextReport::Delivered),
        TextStatus::Undelivered => Some(TextReport::Undelivered { code }),
        TextStatus::Failed => Some(TextReport::Failed { code, reason: "the provider gave it up".to_owned() }),
    }
}
