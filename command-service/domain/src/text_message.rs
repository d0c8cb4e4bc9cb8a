//! One text: requested, suppressed, deferred or sent under an authority, and what the provider reports, merged monotonically.

use chrono::{DateTime, Utc};
use events::{
    Language, NumberKey, OrganizationId, Phone, PropertyId, Purpose, ResidentId, Role, Sealed, TextId,
    TextMessageEvent,
    text::Line,
    text_message::{Grounds, TextClass, TextContent, TextDeferral, TextEncoding, TextSuppression},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Aggregate, Command, Context, Decision, Facts, Need, Scope, SmsConsent, payment::PROCESS};

/// Notes that a resident is to be told something by text.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestText {
    pub text_id: TextId,
    pub resident_id: ResidentId,
    pub property_id: Option<PropertyId>,
    pub content: TextContent,
    pub language: Language,
    pub fallback: bool,
    pub template: u32,
    pub cause: String,
}

/// Decides not to send.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuppressText {
    pub text_id: TextId,
    pub reason: TextSuppression,
    pub grounds: Grounds,
}

/// Lets a text wait; everything is looked at again then.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeferText {
    pub text_id: TextId,
    pub until: DateTime<Utc>,
    pub reason: TextDeferral,
    pub grounds: Grounds,
}

/// Freezes the text and commits the intent to hand it over, under an authority that was given for it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitText {
    pub text_id: TextId,
    /// As rendered.
    pub body: String,
    /// Policy, zone and local time; the consent is filled in from the authority.
    pub grounds: Grounds,
    pub encoding: TextEncoding,
    pub segments: u32,
    pub reference: String,
    pub provider: String,
}

/// Records what became of a text.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordText {
    pub text_id: TextId,
    pub report: TextReport,
}

/// What a provider reports of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TextReport {
    Accepted { provider_id: String },
    Sent,
    Delivered,
    Undelivered { code: Option<u32> },
    Failed { code: Option<u32>, reason: String },
    Unknown { why: String },
}

/// Says whether a text went out whose outcome is not known.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideTextOutcome {
    pub text_id: TextId,
    pub sent: bool,
    /// How that was found out. No names or numbers.
    pub note: Line<200>,
}

refusals! {
    pub enum TextRefusal {
        NotFound = Missing, "there is no such text";
        IdTaken = Conflict, "another text has this id";
        NoAuthority = Conflict, "there is no authority to send this text, or it has run out; ask for it again";
        NotUnknown = Conflict, "what became of the text is known";
    }
}

/// How far a text is; later never goes back.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    #[default]
    None,
    Requested,
    Deferred,
    Suppressed,
    Sending,
    Unknown,
    Accepted,
    Sent,
    Failed,
    Undelivered,
    Delivered,
}

/// A text as decisions need it.
#[derive(Debug, Default)]
pub struct TextMessage {
    pub phase: Phase,
    pub request: Option<Request>,
    pub frozen: Option<Frozen>,
    /// Until when it waits.
    pub deferred_until: Option<DateTime<Utc>>,
    pub provider_id: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Request {
    pub resident: ResidentId,
    pub property: Option<PropertyId>,
    pub content: TextContent,
    pub language: Language,
    pub cause: String,
}

impl Request {
    pub const fn class(&self) -> TextClass {
        self.content.class()
    }
}

#[derive(Debug, Clone)]
pub struct Frozen {
    pub number: Sealed<Phone>,
    pub number_key: NumberKey,
    /// The event of the consent that the text stands on, by its name; absent where none is needed.
    pub consent: Option<String>,
    pub body: Sealed<String>,
    pub reference: String,
    pub provider: String,
}

impl TextMessage {
    /// Whether it is still to be decided whether it goes out.
    pub const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Requested | Phase::Deferred)
    }
}

impl Aggregate for TextMessage {
    type Event = TextMessageEvent;
    type Refusal = TextRefusal;

    fn evolve(&mut self, event: &TextMessageEvent) {
        let reached = match event.clone() {
            TextMessageEvent::TextRequested { resident_id, property_id, content, language, cause, .. } => {
                self.request = Some(Request { resident: resident_id, property: property_id, content, language, cause });
                Phase::Requested
            }
            TextMessageEvent::TextSuppressed { .. } => Phase::Suppressed,
            TextMessageEvent::TextDeferred { until, .. } => {
                self.deferred_until = Some(until);
                Phase::Deferred
            }
            TextMessageEvent::TextSending { number, number_key, body, grounds, reference, provider, .. } => {
                self.frozen = Some(Frozen { number, number_key, consent: grounds.consent, body, reference, provider });
                Phase::Sending
            }
            TextMessageEvent::TextAccepted { provider_id } => {
                self.provider_id = Some(provider_id);
                Phase::Accepted
            }
            TextMessageEvent::TextSent {} | TextMessageEvent::TextOutcomeDecided { sent: true, .. } => Phase::Sent,
            TextMessageEvent::TextDelivered {} => Phase::Delivered,
            TextMessageEvent::TextUndelivered { .. } => Phase::Undelivered,
            TextMessageEvent::TextFailed { .. } | TextMessageEvent::TextOutcomeDecided { sent: false, .. } => {
                Phase::Failed
            }
            TextMessageEvent::TextOutcomeUnknown { .. } => Phase::Unknown,
        };
        self.phase = self.phase.max(reached);
    }

    fn scope(&self) -> Scope {
        let Some(request) = &self.request else { return Scope::default() };
        Scope { properties: request.property.into_iter().collect(), resident: Some(request.resident) }
    }
}

/// A command of the worker about one text.
macro_rules! by_worker {
    ($command:ident, |$self:ident, $state:ident, $context:ident| $decision:expr) => {
        by_worker!($command, |_known| vec![], |$self, $state, $context| $decision);
    };
    ($command:ident, |$known:ident| $needs:expr, |$self:ident, $state:ident, $context:ident| $decision:expr) => {
        impl Command for $command {
            type Aggregate = TextMessage;
            const NAME: &'static str = stringify!($command);
            const ROLES: &'static [Role] = PROCESS;

            fn stream(&self, _: OrganizationId) -> Uuid {
                self.text_id.0
            }

            fn needs(&self, $known: &TextMessage, _: &Facts) -> Vec<Need> {
                $needs
            }

            fn decide($self, $state: &TextMessage, $context: &Context) -> Decision<TextMessage> {
                $decision
            }

            fn example() -> Value {
                Value::Null
            }
        }
    };
}

by_worker!(RequestText, |self, state, _context| {
    if let Some(known) = &state.request {
        // Another cause under this id would be a text that silently never goes out.
        return if known.cause == self.cause { Ok(vec![]) } else { Err(TextRefusal::IdTaken) };
    }
    Ok(vec![TextMessageEvent::TextRequested {
        resident_id: self.resident_id,
        property_id: self.property_id,
        content: self.content,
        language: self.language,
        fallback: self.fallback,
        template: self.template,
        cause: self.cause,
    }])
});

by_worker!(SuppressText, |self, state, _context| {
    if state.phase == Phase::None {
        return Err(TextRefusal::NotFound);
    }
    let event = TextMessageEvent::TextSuppressed { reason: self.reason, grounds: self.grounds };
    Ok(if state.is_open() { vec![event] } else { vec![] })
});

by_worker!(DeferText, |self, state, _context| {
    if state.phase == Phase::None {
        return Err(TextRefusal::NotFound);
    }
    let news = state.is_open() && state.deferred_until.is_none_or(|until| until < self.until);
    let event = TextMessageEvent::TextDeferred { until: self.until, reason: self.reason, grounds: self.grounds };
    Ok(if news { vec![event] } else { vec![] })
});

by_worker!(
    SubmitText,
    |state| {
        let resident = state.request.as_ref().map(|request| request.resident);
        resident.into_iter().flat_map(|resident| [Need::SmsConsent(resident), Need::Resident(resident)]).collect()
    },
    |self, state, context| {
        let request = state.request.as_ref().ok_or(TextRefusal::NotFound)?;
        if !state.is_open() {
            return Ok(vec![]);
        }
        // Whatever came after the authority was given, and before this was decided: an end, a text to be read, another number.
        let (consent, resident) = (context.facts.sms_consent.as_ref(), context.facts.resident.as_ref());
        let authority = consent
            .zip(resident)
            .and_then(|(consent, resident)| consent.leave(self.text_id, &request.content, resident, context.now));
        let authority = authority.ok_or(TextRefusal::NoAuthority)?;
        let resident = request.resident;
        let named = |version: i64| SmsConsent::reference(resident, version);
        Ok(vec![TextMessageEvent::TextSending {
            number: authority.number.clone(),
            number_key: authority.number_key,
            body: Sealed::new(resident.0, Purpose::Message, self.body),
            authority: named(authority.version),
            grounds: Grounds { consent: authority.consent.map(named), ..self.grounds },
            encoding: self.encoding,
            segments: self.segments,
            reference: self.reference,
            provider: self.provider,
        }])
    }
);

by_worker!(RecordText, |self, state, _context| {
    if state.frozen.is_none() {
        return Err(TextRefusal::NotFound);
    }
    let before = |phase: Phase| state.phase < phase;
    let event = match self.report {
        // The provider's id is worth knowing even when a report of delivery came first.
        TextReport::Accepted { provider_id } => {
            state.provider_id.is_none().then_some(TextMessageEvent::TextAccepted { provider_id })
        }
        TextReport::Sent => before(Phase::Sent).then_some(TextMessageEvent::TextSent {}),
        TextReport::Delivered => before(Phase::Delivered).then_some(TextMessageEvent::TextDelivered {}),
        TextReport::Undelivered { code } => {
            before(Phase::Undelivered).then_some(TextMessageEvent::TextUndelivered { code })
        }
        TextReport::Failed { code, reason } => {
            before(Phase::Failed).then_some(TextMessageEvent::TextFailed { code, reason })
        }
        TextReport::Unknown { why } => before(Phase::Unknown).then_some(TextMessageEvent::TextOutcomeUnknown { why }),
    };
    Ok(event.into_iter().collect())
});

impl Command for DecideTextOutcome {
    type Aggregate = TextMessage;
    const NAME: &'static str = "DecideTextOutcome";
    const ROLES: &'static [Role] = &[Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.text_id.0
    }

    fn decide(self, state: &TextMessage, _: &Context) -> Decision<TextMessage> {
        match state.phase {
            Phase::None => Err(TextRefusal::NotFound),
            Phase::Unknown => Ok(vec![TextMessageEvent::TextOutcomeDecided { sent: self.sent, note: self.note }]),
            Phase::Sent if self.sent => Ok(vec![]),
            Phase::Failed if !self.sent => Ok(vec![]),
            Phase::Requested
            | Phase::Deferred
            | Phase::Suppressed
            | Phase::Sending
            | Phase::Accepted
            | Phase::Sent
            | Phase::Failed
            | Phase::Undelivered
            | Phase::Delivered => Err(TextRefusal::NotUnknown),
        }
    }

    fn example() -> Value {
        json!({
            "text_id": "01935c2e-0000-7000-8000-000000000f01",
            "sent": true,
            "note": "Found in the provider's log"
        })
    }
}

#[cfg(test)]
mod tests;
