//! One e-mail: requested, suppressed or submitted, and what the provider reports, merged monotonically.

use events::{
    EmailAddress, EmailMessageEvent, Language, MessageId, OrganizationId, PropertyId, Purpose, ResidentId, Role,
    Sealed,
    email::{BounceKind, EmailContent, EmailSuppression},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Aggregate, Command, Context, Decision, Scope, payment::PROCESS};

/// Notes that a resident is to be told something.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestEmail {
    pub message_id: MessageId,
    pub resident_id: ResidentId,
    pub property_id: Option<PropertyId>,
    pub content: EmailContent,
    pub language: Language,
    pub fallback: bool,
    pub template: u32,
    pub cause: String,
    pub resend_of: Option<MessageId>,
}

/// Decides not to send.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuppressEmail {
    pub message_id: MessageId,
    pub reason: EmailSuppression,
}

/// Freezes the message and commits the intent to hand it over.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitEmail {
    pub message_id: MessageId,
    pub provider: String,
    pub address: EmailAddress,
    /// The rendered message.
    pub message: Value,
}

/// Records what became of a message.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordEmail {
    pub message_id: MessageId,
    pub report: EmailReport,
}

/// What a provider reports of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EmailReport {
    Accepted { provider_id: Option<String> },
    Delayed,
    Delivered,
    Bounced { kind: BounceKind, reason: String },
    Complained,
    Opened,
    Clicked,
    Failed { reason: String },
    SuppressedByProvider,
    Unknown { why: String },
}

/// Sends a message again, after its address was corrected or its outcome stayed unknown.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResendEmail {
    pub message_id: MessageId,
    /// The id of the new message.
    pub as_message: MessageId,
}

refusals! {
    pub enum EmailRefusal {
        NotFound = Missing, "there is no such message";
        StillOnItsWay = Conflict, "the message is still on its way; wait for its outcome";
        AlreadyDelivered = Conflict, "the message was delivered";
        IdTaken = Conflict, "another message has this id";
        ReservedId = Invalid, "the new message needs a random (version 4) or time-ordered (version 7) UUID";
        SameId = Invalid, "the new message needs an id of its own";
    }
}

/// How far a message is; later never goes back.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    #[default]
    None,
    Requested,
    Suppressed,
    Submitting,
    Unknown,
    Accepted,
    /// Also after acceptance: the provider gave up before any server took it.
    Failed,
    Delivered,
    Bounced,
    Complained,
}

/// A message as decisions need it.
#[derive(Debug, Default)]
pub struct EmailMessage {
    pub phase: Phase,
    pub request: Option<Request>,
    pub frozen: Option<Frozen>,
    /// The provider's id of it, where it has told one.
    pub provider_id: Option<String>,
    delayed: bool,
    opened: bool,
    clicked: bool,
    resent_as: Vec<MessageId>,
}

#[derive(Debug, Clone)]
pub struct Request {
    pub resident: ResidentId,
    pub property: Option<PropertyId>,
    pub content: EmailContent,
    pub language: Language,
    cause: String,
}

#[derive(Debug, Clone)]
pub struct Frozen {
    pub provider: String,
    pub idempotency_key: String,
    pub address: Sealed<EmailAddress>,
    pub message: Sealed<Value>,
}

impl Aggregate for EmailMessage {
    type Event = EmailMessageEvent;
    type Refusal = EmailRefusal;

    fn evolve(&mut self, event: &EmailMessageEvent) {
        match event.clone() {
            EmailMessageEvent::EmailRequested { resident_id, property_id, content, language, cause, .. } => {
                self.phase = Phase::Requested;
                self.request = Some(Request { resident: resident_id, property: property_id, content, language, cause });
            }
            // By the provider, once it has the message: as final as a failure.
            EmailMessageEvent::EmailSuppressed { .. } if self.frozen.is_some() => {
                self.phase = self.phase.max(Phase::Failed);
            }
            EmailMessageEvent::EmailSuppressed { .. } => self.phase = Phase::Suppressed,
            EmailMessageEvent::EmailSubmitting { provider, idempotency_key, address, message } => {
                self.phase = Phase::Submitting;
                self.frozen = Some(Frozen { provider, idempotency_key, address, message });
            }
            EmailMessageEvent::EmailAccepted { provider_id } => {
                self.phase = self.phase.max(Phase::Accepted);
                self.provider_id = provider_id;
            }
            EmailMessageEvent::EmailDelayed {} => self.delayed = true,
            EmailMessageEvent::EmailDelivered {} => self.phase = self.phase.max(Phase::Delivered),
            EmailMessageEvent::EmailBounced { .. } => self.phase = self.phase.max(Phase::Bounced),
            EmailMessageEvent::EmailComplained { .. } => self.phase = self.phase.max(Phase::Complained),
            EmailMessageEvent::EmailOpened {} => self.opened = true,
            EmailMessageEvent::EmailClicked {} => self.clicked = true,
            EmailMessageEvent::EmailFailed { .. } => self.phase = self.phase.max(Phase::Failed),
            EmailMessageEvent::EmailOutcomeUnknown { .. } => self.phase = self.phase.max(Phase::Unknown),
            EmailMessageEvent::EmailResendRequested { as_message } => self.resent_as.push(as_message),
        }
    }

    fn scope(&self) -> Scope {
        let Some(request) = &self.request else { return Scope::default() };
        Scope { properties: request.property.into_iter().collect(), resident: Some(request.resident) }
    }
}

impl Command for RequestEmail {
    type Aggregate = EmailMessage;
    const NAME: &'static str = "RequestEmail";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.message_id.0
    }

    fn decide(self, state: &EmailMessage, _: &Context) -> Decision<EmailMessage> {
        if let Some(known) = &state.request {
            // Another cause under this id would be an e-mail that silently never goes out.
            return if known.cause == self.cause { Ok(vec![]) } else { Err(EmailRefusal::IdTaken) };
        }
        Ok(vec![EmailMessageEvent::EmailRequested {
            resident_id: self.resident_id,
            property_id: self.property_id,
            content: self.content,
            language: self.language,
            fallback: self.fallback,
            template: self.template,
            cause: self.cause,
            resend_of: self.resend_of,
        }])
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for SuppressEmail {
    type Aggregate = EmailMessage;
    const NAME: &'static str = "SuppressEmail";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.message_id.0
    }

    fn decide(self, state: &EmailMessage, _: &Context) -> Decision<EmailMessage> {
        match state.phase {
            Phase::None => Err(EmailRefusal::NotFound),
            Phase::Requested => Ok(vec![EmailMessageEvent::EmailSuppressed { reason: self.reason }]),
            Phase::Suppressed
            | Phase::Submitting
            | Phase::Unknown
            | Phase::Failed
            | Phase::Accepted
            | Phase::Delivered
            | Phase::Bounced
            | Phase::Complained => Ok(vec![]),
        }
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for SubmitEmail {
    type Aggregate = EmailMessage;
    const NAME: &'static str = "SubmitEmail";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.message_id.0
    }

    fn decide(self, state: &EmailMessage, context: &Context) -> Decision<EmailMessage> {
        let request = state.request.as_ref().ok_or(EmailRefusal::NotFound)?;
        if state.phase != Phase::Requested {
            return Ok(vec![]);
        }
        let subject = request.resident.0;
        Ok(vec![EmailMessageEvent::EmailSubmitting {
            provider: self.provider,
            // The provider's keys are shared by all organizations, and a resent message's id is chosen by a client.
            idempotency_key: format!("email:{}:{}", context.organization, self.message_id),
            address: Sealed::new(subject, Purpose::Message, self.address),
            message: Sealed::new(subject, Purpose::Message, self.message),
        }])
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for RecordEmail {
    type Aggregate = EmailMessage;
    const NAME: &'static str = "RecordEmail";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.message_id.0
    }

    /// Late and repeated reports change nothing that is known already.
    fn decide(self, state: &EmailMessage, _: &Context) -> Decision<EmailMessage> {
        let frozen = state.frozen.as_ref().ok_or(EmailRefusal::NotFound)?;
        let before = |phase: Phase| state.phase < phase;
        let event = match self.report {
            EmailReport::Accepted { provider_id } => {
                before(Phase::Accepted).then_some(EmailMessageEvent::EmailAccepted { provider_id })
            }
            EmailReport::Delayed => {
                (before(Phase::Failed) && !state.delayed).then_some(EmailMessageEvent::EmailDelayed {})
            }
            EmailReport::Delivered => before(Phase::Delivered).then_some(EmailMessageEvent::EmailDelivered {}),
            EmailReport::Bounced { kind, reason } => {
                let address = frozen.address.clone();
                before(Phase::Bounced).then_some(EmailMessageEvent::EmailBounced { kind, reason, address })
            }
            EmailReport::Complained => {
                let address = frozen.address.clone();
                before(Phase::Complained).then_some(EmailMessageEvent::EmailComplained { address })
            }
            EmailReport::Opened => (!state.opened).then_some(EmailMessageEvent::EmailOpened {}),
            EmailReport::Clicked => (!state.clicked).then_some(EmailMessageEvent::EmailClicked {}),
            EmailReport::Failed { reason } => {
                before(Phase::Failed).then_some(EmailMessageEvent::EmailFailed { reason })
            }
            EmailReport::SuppressedByProvider => before(Phase::Failed)
                .then_some(EmailMessageEvent::EmailSuppressed { reason: EmailSuppression::SuppressedByProvider }),
            EmailReport::Unknown { why } => {
                before(Phase::Unknown).then_some(EmailMessageEvent::EmailOutcomeUnknown { why })
            }
        };
        Ok(event.into_iter().collect())
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for ResendEmail {
    type Aggregate = EmailMessage;
    const NAME: &'static str = "ResendEmail";
    const ROLES: &'static [Role] = &[Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.message_id.0
    }

    fn decide(self, state: &EmailMessage, _: &Context) -> Decision<EmailMessage> {
        if self.as_message == self.message_id {
            return Err(EmailRefusal::SameId);
        }
        // Version 5 is what the ids of e-mails yet to come are derived with.
        if self.as_message.0.get_version_num() == 5 {
            return Err(EmailRefusal::ReservedId);
        }
        if state.resent_as.contains(&self.as_message) {
            return Ok(vec![]);
        }
        match state.phase {
            Phase::None => Err(EmailRefusal::NotFound),
            // Over SMTP nothing more is ever heard of a message: whether it arrived, only people find out.
            Phase::Accepted if state.frozen.as_ref().is_some_and(|frozen| frozen.provider == "smtp") => {
                Ok(vec![EmailMessageEvent::EmailResendRequested { as_message: self.as_message }])
            }
            Phase::Requested | Phase::Submitting | Phase::Accepted => Err(EmailRefusal::StillOnItsWay),
            Phase::Delivered => Err(EmailRefusal::AlreadyDelivered),
            Phase::Suppressed | Phase::Unknown | Phase::Failed | Phase::Bounced | Phase::Complained => {
                Ok(vec![EmailMessageEvent::EmailResendRequested { as_message: self.as_message }])
            }
        }
    }

    fn example() -> Value {
        json!({
            "message_id": "01935c2e-0000-7000-8000-000000000601",
            "as_message": "01935c2e-0000-7000-8000-000000000602"
        })
    }
}

#[cfg(test)]
mod tests;
