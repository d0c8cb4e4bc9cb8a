//! Texts from a resident's number: words that end, help or start again, and free text that a person has to read.

use chrono::{DateTime, TimeDelta, Utc};
use events::{
    InboundId, NumberKey, OrganizationId, Phone, Purpose, ResidentId, Role, Sealed, SmsConsentEvent,
    sms_consent::{ConsentScope, ConsentSource, Reading, RevocationCause},
    text::Line,
    text_message::KeywordReply,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Grant, MANAGERS, SmsConsent, SmsConsentRefusal, Standing, evidence_of, personal, resident_and_session, scope_of,
};
use crate::{Command, Context, Decision, Facts, Need, Scope, keywords, payment::PROCESS};

/// How long after a word its answer may still go out (47 CFR 64.1200(a)(12)).
pub const REPLY_WITHIN: TimeDelta = TimeDelta::minutes(5);

/// What the provider says of a text that it read itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ProviderReading {
    Stop,
    Help,
    Start,
}

/// Takes in a text that came from a number of a resident. A text from a number that several have is one command for each.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordInboundText {
    pub resident_id: ResidentId,
    /// Follows from the provider's id of it and the resident.
    pub inbound_id: InboundId,
    pub number: Phone,
    pub body: String,
    pub provider_id: String,
    /// Business clock: when it came, not when it was understood.
    pub received_at: DateTime<Utc>,
    /// Set when the provider read it as a word, and answered.
    pub answered_by_provider: Option<ProviderReading>,
    /// Whether this is the one of the number's residents whose stream answers.
    pub answers: bool,
}

/// Says what a text meant that may have meant "stop".
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideHeldText {
    pub resident_id: ResidentId,
    pub inbound_id: InboundId,
    /// It did: texts end, and only the portal brings them back.
    pub stop: bool,
    /// Why. No names or numbers.
    pub note: Line<200>,
}

impl Command for RecordInboundText {
    type Aggregate = SmsConsent;
    const NAME: &'static str = "RecordInboundText";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        SmsConsent::id(self.resident_id)
    }

    fn needs(&self, _: &SmsConsent, _: &Facts) -> Vec<Need> {
        vec![Need::Resident(self.resident_id)]
    }

    fn decide(self, state: &SmsConsent, context: &Context) -> Decision<SmsConsent> {
        if state.inbound.contains_key(&self.inbound_id) {
            return Ok(vec![]);
        }
        let erased = context.facts.resident.as_ref().is_some_and(|resident| resident.erased);
        let number_key = context.blind.number(&self.number);
        let number = personal(self.resident_id, self.number.clone());
        let reading = self.reading();
        let known = state.knows(number_key);
        // A number that somebody merely typed may be a stranger's. Their words count; what else they write is not for us to keep.
        let body = match reading {
            _ if known => self.body.clone(),
            Reading::Other => return Ok(vec![]),
            Reading::MayMeanStop => String::new(),
            Reading::Stop | Reading::Help | Reading::Start => {
                keywords::read(&self.body).word.unwrap_or_default().to_owned()
            }
        };
        let mut reply = None;
        let mut follows = Vec::new();
        match reading {
            Reading::Stop => {
                if state.has_to_end(number_key) {
                    let cause = RevocationCause::Keyword { inbound_id: self.inbound_id };
                    let numbers = vec![(number_key, number.clone())];
                    follows = state.revocations(self.resident_id, numbers, &cause, ConsentScope::All, context);
                    // One confirmation: who says stop twice is not texted twice.
                    reply = Some(KeywordReply::Stopped);
                }
            }
            Reading::Help => reply = Some(KeywordReply::Help),
            Reading::Start => {
                let restored = if erased { None } else { self.restored(state, context) };
                reply = Some(match restored {
                    Some(_) => KeywordReply::Restarted,
                    None => KeywordReply::NothingToRestart,
                });
                follows.extend(restored);
            }
            // Where nothing could go out anyway there is nothing to hold.
            Reading::MayMeanStop => {
                let sends = known && !erased && state.live().iter().any(|(live, _)| *live == number_key);
                follows.extend(sends.then_some(SmsConsentEvent::SendsPaused { inbound_id: self.inbound_id }));
            }
            Reading::Other => {}
        }
        // An erased resident's key for messages is destroyed: what they write is not kept, that a word came is.
        let purpose = if erased || reading == Reading::Other { Purpose::Message } else { Purpose::Consent };
        let received = SmsConsentEvent::InboundReceived {
            resident_id: self.resident_id,
            inbound_id: self.inbound_id,
            number,
            number_key,
            body: Sealed::new(self.resident_id.0, purpose, body),
            reading,
            provider_id: self.provider_id,
            answered_by_provider: self.answered_by_provider.is_some(),
            reply: reply.filter(|_| self.answers && !erased && self.answered_by_provider.is_none()),
            received_at: self.received_at,
        };
        Ok([vec![received], follows].concat())
    }

    fn example() -> Value {
        Value::Null
    }
}

impl RecordInboundText {
    /// The provider's stop counts whatever we read; its start does not, since it takes a "yes" for one.
    pub fn reading(&self) -> Reading {
        match (keywords::read(&self.body).reading, self.answered_by_provider) {
            (_, Some(ProviderReading::Stop)) => Reading::Stop,
            (Reading::Other, Some(ProviderReading::Help)) => Reading::Help,
            (own, _) => own,
        }
    }

    fn restored(&self, state: &SmsConsent, context: &Context) -> Option<SmsConsentEvent> {
        let number_key = context.blind.number(&self.number);
        let (number, grant) = state.restorable(number_key, self.received_at)?;
        Some(SmsConsentEvent::ConsentRestored {
            resident_id: self.resident_id,
            number: number.clone(),
            number_key,
            inbound_id: self.inbound_id,
            granted_by: grant.granted_by,
            disclosure: grant.disclosure.clone(),
            checkbox: grant.checkbox,
            scope: grant.scope,
            source: ConsentSource::SmsKeyword,
            evidence: evidence_of(self.resident_id, context, state.zone, state.language),
        })
    }
}

/// How much a text concerns one of several streams of its number. The smallest answers: one in which the text changes something, and
/// of those one in which the number stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Concern {
    changes_nothing: bool,
    is_not_granted: bool,
    is_not_known: bool,
}

impl SmsConsent {
    /// Whether the number's owner once confirmed it here. One that was only typed may be anybody's.
    pub fn knows(&self, key: NumberKey) -> bool {
        self.confirmed.contains(&key)
    }

    /// Whether a text was taken in, and if so, whether this stream answers it.
    pub fn answers(&self, inbound: InboundId) -> Option<bool> {
        self.inbound.get(&inbound).map(|inbound| inbound.reply.is_some())
    }

    pub fn concern(&self, key: NumberKey, text: &RecordInboundText) -> Concern {
        let changes = match text.reading() {
            Reading::Stop => self.has_to_end(key),
            Reading::Start => self.restorable(key, text.received_at).is_some(),
            Reading::Help | Reading::MayMeanStop | Reading::Other => false,
        };
        Concern {
            changes_nothing: !changes,
            is_not_granted: self.standing().is_none_or(|(granted, ..)| granted != key),
            is_not_known: !self.knows(key),
        }
    }

    /// Whether a stop changes anything: who says it twice said it once.
    fn has_to_end(&self, key: NumberKey) -> bool {
        let standing = self.numbers.get(&key).map(|known| &known.standing);
        let pending = self.pending.as_ref().is_some_and(|pending| pending.key == key);
        pending || !matches!(standing, Some(Standing::Revoked { .. }))
    }

    /// What a START that came then brings back: only what a word ended, and only what the resident had granted for this number.
    fn restorable(&self, key: NumberKey, came_at: DateTime<Utc>) -> Option<(&Sealed<Phone>, &Grant)> {
        let known = self.numbers.get(&key)?;
        let Standing::Revoked { before: Some(grant), .. } = &known.standing else { return None };
        // Another number was confirmed since.
        if self.standing().is_some() {
            return None;
        }
        // Texts are not always understood in the order in which they came: a wish to end that came after this word outlasts it.
        (!self.wished_to_end_since(key, came_at)).then_some((&known.number, grant))
    }

    /// Whether the number's owner, who never confirmed it here, has asked to be left alone, and has not taken that back.
    pub(super) fn is_unwelcome(&self, key: NumberKey) -> bool {
        let wishes = self.inbound.values().filter(|inbound| {
            inbound.key == key && matches!(inbound.reading, Reading::Stop | Reading::MayMeanStop | Reading::Start)
        });
        let last = wishes.max_by_key(|wish| (wish.received_at, wish.reading != Reading::Start));
        !self.knows(key) && last.is_some_and(|wish| wish.reading != Reading::Start)
    }

    /// Whether a text that ends, or may be meant to, came from the number then or later. Of two that came at the same instant the end
    /// counts.
    fn wished_to_end_since(&self, key: NumberKey, then: DateTime<Utc>) -> bool {
        self.inbound.values().any(|inbound| {
            inbound.key == key
                && matches!(inbound.reading, Reading::Stop | Reading::MayMeanStop)
                && inbound.received_at >= then
        })
    }
}

impl Command for DecideHeldText {
    type Aggregate = SmsConsent;
    const NAME: &'static str = "DecideHeldText";
    const ROLES: &'static [Role] = MANAGERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        SmsConsent::id(self.resident_id)
    }

    fn scope_with(&self, _: &SmsConsent, facts: &Facts) -> Scope {
        scope_of(self.resident_id, facts)
    }

    fn needs(&self, _: &SmsConsent, _: &Facts) -> Vec<Need> {
        resident_and_session(self.resident_id)
    }

    fn decide(self, state: &SmsConsent, context: &Context) -> Decision<SmsConsent> {
        if !state.inbound.contains_key(&self.inbound_id) {
            return Err(SmsConsentRefusal::NoSuchText);
        }
        if !state.held.contains(&self.inbound_id) {
            return Ok(vec![]);
        }
        let decided = SmsConsentEvent::HeldTextDecided {
            inbound_id: self.inbound_id,
            stop: self.stop,
            note: self.note,
            evidence: evidence_of(self.resident_id, context, None, state.language),
        };
        let cause = RevocationCause::FreeText { inbound_id: self.inbound_id };
        let ends = if self.stop { state.live() } else { vec![] };
        let ends = state.revocations(self.resident_id, ends, &cause, ConsentScope::All, context);
        Ok([vec![decided], ends].concat())
    }

    fn example() -> Value {
        json!({
            "resident_id": "01935c2e-0000-7000-8000-000000000201",
            "inbound_id": "01935c2e-0000-7000-8000-000000000e01",
            "stop": true,
            "note": "Asked not to be texted at work"
        })
    }
}
