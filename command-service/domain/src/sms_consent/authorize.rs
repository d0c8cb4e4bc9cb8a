//! The authority for one text, decided in the order of the consent itself: a STOP that came earlier wins.

use chrono::{DateTime, Utc};
use events::{
    InboundId, NumberKey, OrganizationId, Phone, ResidentId, Role, Sealed, SmsConsentEvent, TextId,
    sms_consent::InvalidationCause,
    text_message::{TextClass, TextContent},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{AUTHORITY_HOLDS, REPLY_WITHIN, SmsConsent, SmsConsentRefusal, Standing, evidence_of, voided};
use crate::{Command, Context, Decision, Facts, Need, Resident, payment::PROCESS};

/// Asks for the authority to hand one text to the provider within the next 30 seconds.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizeText {
    pub resident_id: ResidentId,
    pub text_id: TextId,
    /// What the text tells: its class and what it answers follow from it.
    pub content: TextContent,
}

/// Ends what the resident's record says has ended: another number, moved out, not written to, erased.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewSmsConsent {
    pub resident_id: ResidentId,
}

/// Leave to send one text to one number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Of the event that gave it.
    pub version: i64,
    pub class: TextClass,
    pub number_key: NumberKey,
    pub number: Sealed<Phone>,
    /// The version of the event that the consent stands on; absent where none is needed.
    pub consent: Option<i64>,
    pub expires_at: DateTime<Utc>,
}

/// What an authority is given for.
struct Given {
    number_key: NumberKey,
    consent: Option<i64>,
    inbound_id: Option<InboundId>,
}

impl SmsConsent {
    /// The number as it is known by its key.
    pub(super) fn number_of(&self, key: NumberKey) -> Sealed<Phone> {
        let pending = || self.pending.as_ref().filter(|pending| pending.key == key).map(|pending| &pending.number);
        let inbound = || self.inbound.values().find(|inbound| inbound.key == key).map(|inbound| &inbound.number);
        let known = self.numbers.get(&key).map(|known| &known.number);
        known.or_else(pending).or_else(inbound).cloned().unwrap_or(Sealed::Erased)
    }

    pub(super) fn drop_pending(&mut self, key: NumberKey) {
        if self.pending.as_ref().is_some_and(|pending| pending.key == key) {
            self.pending = None;
        }
    }

    fn may_receive(&self, resident: &Resident) -> Result<Given, SmsConsentRefusal> {
        let Some((number_key, number, grant)) = self.granted() else { return Err(self.why_not()) };
        match voided(resident, number.value(), grant.phone_revision) {
            None if self.is_paused() => Err(SmsConsentRefusal::Paused),
            None => Ok(Given { number_key, consent: Some(grant.version), inbound_id: None }),
            Some(InvalidationCause::Erased {}) => Err(SmsConsentRefusal::ResidentErased),
            Some(InvalidationCause::Deactivated {}) => Err(SmsConsentRefusal::ResidentInactive),
            Some(InvalidationCause::MovedOut {}) => Err(SmsConsentRefusal::MovedOut),
            Some(
                InvalidationCause::NumberChanged {}
                | InvalidationCause::Reassigned { .. }
                | InvalidationCause::Undeliverable { .. },
            ) => Err(SmsConsentRefusal::NumberChanged),
        }
    }

    /// Why nothing is granted: by what happened last.
    fn why_not(&self) -> SmsConsentRefusal {
        let last = self.numbers.values().max_by_key(|known| known.standing.version());
        match last.map(|known| &known.standing) {
            Some(Standing::Revoked { .. }) => SmsConsentRefusal::ConsentRevoked,
            Some(Standing::Invalidated { .. }) => SmsConsentRefusal::ConsentInvalidated,
            Some(Standing::Granted(_)) | None if self.pending.is_some() => SmsConsentRefusal::NotConfirmed,
            Some(Standing::Granted(_)) | None => SmsConsentRefusal::NoConsent,
        }
    }

    fn may_get_code(
        &self,
        challenge: u32,
        resident: &Resident,
        now: DateTime<Utc>,
    ) -> Result<Given, SmsConsentRefusal> {
        if !resident.is_active() {
            return Err(SmsConsentRefusal::ResidentInactive);
        }
        let pending =
            self.pending.as_ref().filter(|pending| pending.challenge == challenge && now < pending.expires_at);
        let pending = pending.ok_or(SmsConsentRefusal::CodeOutdated)?;
        Ok(Given { number_key: pending.key, consent: None, inbound_id: None })
    }

    fn may_be_answered(&self, id: InboundId, text: TextId, now: DateTime<Utc>) -> Result<Given, SmsConsentRefusal> {
        let inbound = self.inbound.get(&id).ok_or(SmsConsentRefusal::NoSuchText)?;
        if inbound.reply.is_none() || inbound.answered_by.is_some_and(|other| other != text) {
            return Err(SmsConsentRefusal::ReplyGiven);
        }
        if now - inbound.received_at > REPLY_WITHIN {
            return Err(SmsConsentRefusal::ReplyTooLate);
        }
        Ok(Given { number_key: inbound.key, consent: None, inbound_id: Some(id) })
    }
}

impl SmsConsent {
    /// What a text like this may be sent under, as of now.
    fn may_be_sent(
        &self,
        text: TextId,
        content: &TextContent,
        resident: &Resident,
        now: DateTime<Utc>,
    ) -> Result<Given, SmsConsentRefusal> {
        // Evidence may be kept for years yet; it is no ground to write to anybody, not even to answer.
        if resident.erased {
            return Err(SmsConsentRefusal::ResidentErased);
        }
        match content {
            TextContent::InvoicePublished { .. }
            | TextContent::PaymentReceived { .. }
            | TextContent::PaymentFailed { .. }
            | TextContent::ConsentConfirmed {} => self.may_receive(resident),
            TextContent::ConsentCode { challenge } => self.may_get_code(*challenge, resident, now),
            TextContent::KeywordReply { inbound_id, .. } => self.may_be_answered(*inbound_id, text, now),
        }
    }

    /// The authority that was given for a text, if it has not run out and what it was given under stands.
    pub fn leave(
        &self,
        text: TextId,
        content: &TextContent,
        resident: &Resident,
        now: DateTime<Utc>,
    ) -> Option<&Authority> {
        let class = content.class();
        let authority = self.authority(text).filter(|known| now < known.expires_at && known.class == class)?;
        let given = self.may_be_sent(text, content, resident, now).ok()?;
        (given.number_key == authority.number_key && given.consent == authority.consent).then_some(authority)
    }
}

impl Command for AuthorizeText {
    type Aggregate = SmsConsent;
    const NAME: &'static str = "AuthorizeText";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        SmsConsent::id(self.resident_id)
    }

    fn needs(&self, _: &SmsConsent, _: &Facts) -> Vec<Need> {
        vec![Need::Resident(self.resident_id)]
    }

    fn decide(self, state: &SmsConsent, context: &Context) -> Decision<SmsConsent> {
        let resident = context.facts.resident.as_ref().ok_or(SmsConsentRefusal::NotFound)?;
        let class = self.content.class();
        let Given { number_key, consent, inbound_id } =
            state.may_be_sent(self.text_id, &self.content, resident, context.now)?;
        // Still good, and for the same thing.
        let holds = state.authority(self.text_id).is_some_and(|known| {
            context.now < known.expires_at && known.number_key == number_key && known.consent == consent
        });
        Ok(if holds {
            vec![]
        } else {
            let expires_at = context.now + AUTHORITY_HOLDS;
            vec![SmsConsentEvent::TextAuthorized {
                text_id: self.text_id,
                class,
                number_key,
                consent,
                inbound_id,
                expires_at,
            }]
        })
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for ReviewSmsConsent {
    type Aggregate = SmsConsent;
    const NAME: &'static str = "ReviewSmsConsent";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        SmsConsent::id(self.resident_id)
    }

    fn needs(&self, _: &SmsConsent, _: &Facts) -> Vec<Need> {
        vec![Need::Resident(self.resident_id)]
    }

    fn decide(self, state: &SmsConsent, context: &Context) -> Decision<SmsConsent> {
        let resident = context.facts.resident.as_ref().ok_or(SmsConsentRefusal::NotFound)?;
        let granted = state.granted().map(|(key, number, grant)| (key, number, grant.phone_revision));
        let pending = state.pending.as_ref().map(|pending| (pending.key, &pending.number, pending.phone_revision));
        // What a word had ended could come back by another, so it ends for good too.
        let restorable = state.numbers.iter().filter_map(|(key, known)| match &known.standing {
            Standing::Revoked { before: Some(grant), .. } => Some((*key, &known.number, grant.phone_revision)),
            Standing::Revoked { before: None, .. } | Standing::Granted(_) | Standing::Invalidated { .. } => None,
        });
        let candidates = granted.into_iter().chain(pending).chain(restorable);
        let mut events: Vec<SmsConsentEvent> = Vec::new();
        let mut seen = Vec::new();
        for (number_key, number, phone_revision) in candidates {
            if let Some(cause) = voided(resident, number.value(), phone_revision)
                && !seen.contains(&number_key)
            {
                seen.push(number_key);
                events.push(SmsConsentEvent::ConsentInvalidated {
                    resident_id: self.resident_id,
                    number: number.clone(),
                    number_key,
                    cause,
                    evidence: evidence_of(self.resident_id, context, state.zone, state.language),
                });
            }
        }
        Ok(events)
    }

    fn example() -> Value {
        Value::Null
    }
}
