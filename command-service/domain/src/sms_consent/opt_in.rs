//! Opting in: what was shown, what was ticked, and the code that proves whose number it is. Residents only, in their own session.

use chrono::{DateTime, TimeDelta, Utc};
use events::{
    Language, OrganizationId, Phone, PropertyId, ResidentId, Role, Sealed, ShownId, SmsConsentEvent, TimeZone,
    sms_consent::{Checkbox, ConsentScope, ConsentSource, InvalidationCause, OptInRefusal},
    text::Line,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    CODE_HOLDS, SmsConsent, SmsConsentRefusal, evidence_of, personal, refusal_of, resident_and_session, scope_of,
};
use crate::{Command, Context, Decision, Disclosure, Facts, Need, Scope};

/// How long what was shown may be agreed to.
const SHOWN_HOLDS: TimeDelta = TimeDelta::days(1);
/// Within this time a code that was asked for again is the one on its way.
const CODE_ON_ITS_WAY: TimeDelta = TimeDelta::seconds(60);
/// How many codes a resident gets, and how many go to one number, whoever has them sent.
pub const CODES_AN_HOUR: usize = 3;
pub const CODES_A_DAY: usize = 6;
const ATTEMPTS: u32 = 5;
const RESIDENT: &[Role] = &[Role::Resident];

/// Shows the resident what they are asked to agree to. The text, its version and its hash are kept as they were shown.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowDisclosure {
    pub resident_id: ResidentId,
    /// Of this showing; the consent refers to it.
    pub shown_id: ShownId,
    /// The home that the portal is about.
    pub property_id: PropertyId,
    pub language: Language,
    /// The resident's own, as their browser tells.
    pub time_zone: TimeZone,
}

/// Agrees to texts to a number, which a code that is sent there then has to confirm. Only the resident can, in their own session.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordSmsConsent {
    pub resident_id: ResidentId,
    /// What was shown in this session.
    pub shown_id: ShownId,
    pub phone: Phone,
    /// The box as it was shown, which must not have been ticked, and as it was sent.
    pub checkbox: Checkbox,
    #[serde(default)]
    pub scope: ConsentScope,
    /// The resident's own, as their browser tells.
    pub time_zone: TimeZone,
}

/// Has another code sent to the number that waits to be confirmed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestSmsCode {
    pub resident_id: ResidentId,
}

/// Confirms the number by the code that was sent there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmSmsConsent {
    pub resident_id: ResidentId,
    pub code: Line<12>,
}

/// Whether this is the resident, signed in, in nobody else's hands.
fn own_session(resident: ResidentId, context: &Context) -> Result<(), OptInRefusal> {
    if context.channel.impersonator.is_some() {
        return Err(OptInRefusal::Impersonated);
    }
    if context.actor.role != Role::Resident || context.actor.resident != Some(resident) {
        return Err(OptInRefusal::NotTheResident);
    }
    let session = context.facts.session.as_ref().filter(|_| context.channel.session.is_some());
    let opened = session.and_then(|session| session.opened_by(resident, context.now));
    opened.map(|_| ()).ok_or(OptInRefusal::NoSession)
}

impl SmsConsent {
    fn codes_since(&self, now: DateTime<Utc>, time: TimeDelta) -> usize {
        self.issued.iter().filter(|issued| now - **issued < time).count()
    }

    fn issue(
        &self,
        resident_id: ResidentId,
        number_key: events::NumberKey,
        now: DateTime<Utc>,
    ) -> Result<SmsConsentEvent, SmsConsentRefusal> {
        if self.is_unwelcome(number_key) {
            return Err(SmsConsentRefusal::Unwelcome);
        }
        let often = self.codes_since(now, TimeDelta::hours(1)) >= CODES_AN_HOUR
            || self.codes_since(now, TimeDelta::days(1)) >= CODES_A_DAY;
        if often {
            return Err(SmsConsentRefusal::TooManyCodes);
        }
        let challenge = self.challenges.saturating_add(1);
        Ok(SmsConsentEvent::CodeIssued { resident_id, number_key, challenge, expires_at: now + CODE_HOLDS })
    }
}

impl SmsConsent {
    /// That somebody tried to opt the resident in who may not, by a command that names no number: it is about the one that waits to
    /// be confirmed, else the last that was, else the record's. Without any there is nothing that could have been agreed to.
    fn attempted(&self, resident_id: ResidentId, why: OptInRefusal, context: &Context) -> Vec<SmsConsentEvent> {
        let resident = context.facts.resident.as_ref();
        let pending = self.pending.as_ref().map(|pending| (pending.key, pending.number.clone()));
        let last = || {
            let known = self.numbers.iter().max_by_key(|(_, known)| known.standing.version());
            known.map(|(key, known)| (*key, known.number.clone()))
        };
        let recorded = || {
            let phone = resident?.record.as_ref()?.phone.as_ref()?.value()?;
            let phone = Phone::parse(phone.as_str()).ok()?;
            Some((context.blind.number(&phone), personal(resident_id, phone)))
        };
        let exists = resident.is_some_and(|resident| resident.record.is_some());
        let about = pending.or_else(last).or_else(recorded).filter(|_| exists);
        // Of an erased resident nothing new is kept.
        let erased = resident.is_some_and(|resident| resident.erased);
        let refused = about.map(|(number_key, number)| SmsConsentEvent::OptInRefused {
            resident_id,
            number: if erased { Sealed::Erased } else { number },
            number_key,
            why,
            evidence: evidence_of(resident_id, context, self.zone, self.language),
        });
        refused.into_iter().collect()
    }

    /// The same as an answer to the attempt.
    fn refuses(&self, resident_id: ResidentId, why: OptInRefusal, context: &Context) -> Decision<Self> {
        let attempt = self.attempted(resident_id, why, context);
        if attempt.is_empty() { Err(refusal_of(why)) } else { Ok(attempt) }
    }
}

impl RecordSmsConsent {
    fn refused(&self, why: OptInRefusal, context: &Context, language: Language) -> SmsConsentEvent {
        // Of an erased resident nothing new is kept, not even what somebody else typed.
        let erased = context.facts.resident.as_ref().is_some_and(|resident| resident.erased);
        let number = if erased { Sealed::Erased } else { personal(self.resident_id, self.phone.clone()) };
        SmsConsentEvent::OptInRefused {
            resident_id: self.resident_id,
            number,
            number_key: context.blind.number(&self.phone),
            why,
            evidence: evidence_of(self.resident_id, context, Some(self.time_zone), language),
        }
    }
}

impl Command for ShowDisclosure {
    type Aggregate = SmsConsent;
    const NAME: &'static str = "ShowDisclosure";
    const ROLES: &'static [Role] = RESIDENT;

    fn stream(&self, _: OrganizationId) -> Uuid {
        SmsConsent::id(self.resident_id)
    }

    fn scope_with(&self, _: &SmsConsent, facts: &Facts) -> Scope {
        scope_of(self.resident_id, facts)
    }

    fn needs(&self, _: &SmsConsent, _: &Facts) -> Vec<Need> {
        let mut needs = resident_and_session(self.resident_id);
        needs.extend([Need::Organization, Need::Property(self.property_id), Need::Disclosure]);
        needs
    }

    fn decide(self, state: &SmsConsent, context: &Context) -> Decision<SmsConsent> {
        let facts = &context.facts;
        let resident = facts.resident.as_ref().filter(|resident| resident.is_active());
        let resident = resident.ok_or(SmsConsentRefusal::NotFound)?;
        if state.shown.iter().any(|shown| shown.disclosure.shown_id == self.shown_id) {
            return Ok(vec![]);
        }
        let lives_there = resident.homes.iter().any(|home| home.property_id == self.property_id);
        let property = facts.property.as_ref().and_then(|property| property.details.as_ref()).filter(|_| lives_there);
        let property = property.ok_or(SmsConsentRefusal::NotLivingThere)?;
        let organization = facts.organization.as_ref().and_then(|organization| organization.name.as_ref());
        let standard = Disclosure::default();
        let disclosure = facts.disclosure.as_ref().unwrap_or(&standard).shown(
            self.shown_id,
            self.property_id,
            self.language,
            organization.unwrap_or(&property.name),
            &property.name,
        );
        let evidence = evidence_of(self.resident_id, context, Some(self.time_zone), self.language);
        Ok(vec![SmsConsentEvent::DisclosureShown { resident_id: self.resident_id, disclosure, evidence }])
    }

    fn example() -> Value {
        json!({
            "resident_id": "01935c2e-0000-7000-8000-000000000201",
            "shown_id": "01935c2e-0000-7000-8000-000000000d01",
            "property_id": "01935c2e-0000-7000-8000-000000000001",
            "language": "es",
            "time_zone": "America/Toronto"
        })
    }
}

impl Command for RecordSmsConsent {
    type Aggregate = SmsConsent;
    const NAME: &'static str = "RecordSmsConsent";
    const ROLES: &'static [Role] = RESIDENT;
    const RECORDS_THE_TURNED_AWAY: bool = true;

    fn stream(&self, _: OrganizationId) -> Uuid {
        SmsConsent::id(self.resident_id)
    }

    fn scope_with(&self, _: &SmsConsent, facts: &Facts) -> Scope {
        scope_of(self.resident_id, facts)
    }

    fn needs(&self, _: &SmsConsent, _: &Facts) -> Vec<Need> {
        resident_and_session(self.resident_id)
    }

    fn turned_away(self, state: &SmsConsent, context: &Context) -> Vec<SmsConsentEvent> {
        let known = context.facts.resident.as_ref().is_some_and(|resident| resident.record.is_some());
        if known { vec![self.refused(OptInRefusal::NotTheResident, context, state.language)] } else { vec![] }
    }

    fn decide(self, state: &SmsConsent, context: &Context) -> Decision<SmsConsent> {
        let resident = context.facts.resident.as_ref().filter(|resident| resident.is_active());
        let resident = resident.ok_or(SmsConsentRefusal::NotFound)?;
        if let Err(why) = own_session(self.resident_id, context) {
            return Ok(vec![self.refused(why, context, state.language)]);
        }
        if self.checkbox.before {
            return Ok(vec![self.refused(OptInRefusal::PreTicked, context, state.language)]);
        }
        if !self.checkbox.after {
            return Err(SmsConsentRefusal::NotTicked);
        }
        if resident.homes.is_empty() {
            return Err(SmsConsentRefusal::MovedOut);
        }
        let shown = state.shown.iter().find(|shown| {
            shown.disclosure.shown_id == self.shown_id
                && shown.session == context.channel.session
                && context.now - shown.at < SHOWN_HOLDS
        });
        let disclosure = shown.ok_or(SmsConsentRefusal::NothingShown)?.disclosure.clone();
        let number_key = context.blind.number(&self.phone);
        if state.standing().is_some_and(|(granted, ..)| granted == number_key) {
            return Ok(vec![]);
        }
        let waits = state.pending.as_ref().is_some_and(|pending| {
            pending.key == number_key
                && pending.disclosure.shown_id == self.shown_id
                && context.now < pending.expires_at
        });
        if waits {
            return Ok(vec![]);
        }
        let code = state.issue(self.resident_id, number_key, context.now)?;
        let evidence = evidence_of(self.resident_id, context, Some(self.time_zone), disclosure.language);
        Ok(vec![
            SmsConsentEvent::ConsentRequested {
                resident_id: self.resident_id,
                number: personal(self.resident_id, self.phone),
                number_key,
                disclosure,
                checkbox: self.checkbox,
                scope: self.scope,
                source: ConsentSource::Portal,
                phone_revision: resident.phone_revision,
                evidence,
            },
            code,
        ])
    }

    fn example() -> Value {
        json!({
            "resident_id": "01935c2e-0000-7000-8000-000000000201",
            "shown_id": "01935c2e-0000-7000-8000-000000000d01",
            "phone": "+13055550143",
            "checkbox": { "before": false, "after": true },
            "scope": "All",
            "time_zone": "America/Toronto"
        })
    }
}

impl Command for RequestSmsCode {
    type Aggregate = SmsConsent;
    const NAME: &'static str = "RequestSmsCode";
    const ROLES: &'static [Role] = RESIDENT;
    const RECORDS_THE_TURNED_AWAY: bool = true;

    fn stream(&self, _: OrganizationId) -> Uuid {
        SmsConsent::id(self.resident_id)
    }

    fn scope_with(&self, _: &SmsConsent, facts: &Facts) -> Scope {
        scope_of(self.resident_id, facts)
    }

    fn needs(&self, _: &SmsConsent, _: &Facts) -> Vec<Need> {
        resident_and_session(self.resident_id)
    }

    fn turned_away(self, state: &SmsConsent, context: &Context) -> Vec<SmsConsentEvent> {
        state.attempted(self.resident_id, OptInRefusal::NotTheResident, context)
    }

    fn decide(self, state: &SmsConsent, context: &Context) -> Decision<SmsConsent> {
        if let Err(why) = own_session(self.resident_id, context) {
            return state.refuses(self.resident_id, why, context);
        }
        let pending = state.pending.as_ref().ok_or(SmsConsentRefusal::NothingPending)?;
        if context.now - pending.issued_at < CODE_ON_ITS_WAY && pending.attempts < ATTEMPTS {
            return Ok(vec![]);
        }
        Ok(vec![state.issue(self.resident_id, pending.key, context.now)?])
    }

    fn example() -> Value {
        json!({ "resident_id": "01935c2e-0000-7000-8000-000000000201" })
    }
}

impl Command for ConfirmSmsConsent {
    type Aggregate = SmsConsent;
    const NAME: &'static str = "ConfirmSmsConsent";
    const ROLES: &'static [Role] = RESIDENT;
    const RECORDS_THE_TURNED_AWAY: bool = true;

    fn stream(&self, _: OrganizationId) -> Uuid {
        SmsConsent::id(self.resident_id)
    }

    fn scope_with(&self, _: &SmsConsent, facts: &Facts) -> Scope {
        scope_of(self.resident_id, facts)
    }

    fn needs(&self, _: &SmsConsent, _: &Facts) -> Vec<Need> {
        resident_and_session(self.resident_id)
    }

    fn turned_away(self, state: &SmsConsent, context: &Context) -> Vec<SmsConsentEvent> {
        state.attempted(self.resident_id, OptInRefusal::NotTheResident, context)
    }

    fn decide(self, state: &SmsConsent, context: &Context) -> Decision<SmsConsent> {
        if let Err(why) = own_session(self.resident_id, context) {
            return state.refuses(self.resident_id, why, context);
        }
        let Some(pending) = &state.pending else {
            // The same code again, a moment after it was accepted.
            let fresh = state.challenges > 0 && self.is_code(state.challenges, context);
            return if fresh && state.standing().is_some() {
                Ok(vec![])
            } else {
                Err(SmsConsentRefusal::NothingPending)
            };
        };
        let evidence = evidence_of(self.resident_id, context, state.zone, pending.disclosure.language);
        let (resident_id, number_key, challenge) = (self.resident_id, pending.key, pending.challenge);
        if pending.attempts >= ATTEMPTS {
            return Err(SmsConsentRefusal::NoAttemptsLeft);
        }
        if context.now >= pending.expires_at {
            return Err(SmsConsentRefusal::CodeExpired);
        }
        if !self.is_code(challenge, context) {
            let attempts_left = ATTEMPTS - pending.attempts - 1;
            return Ok(vec![SmsConsentEvent::CodeRejected { number_key, challenge, attempts_left, evidence }]);
        }
        // Whatever happened to the record since the number was saved.
        let resident = context.facts.resident.as_ref().ok_or(SmsConsentRefusal::NotFound)?;
        match super::voided(resident, pending.number.value(), pending.phone_revision) {
            None => {}
            Some(InvalidationCause::MovedOut {}) => return Err(SmsConsentRefusal::MovedOut),
            Some(InvalidationCause::Deactivated {} | InvalidationCause::Erased {}) => {
                return Err(SmsConsentRefusal::ResidentInactive);
            }
            Some(_) => return Err(SmsConsentRefusal::NumberChanged),
        }
        // One number per resident: the one before is never texted again.
        let former = state.live().into_iter().filter(|(key, _)| *key != number_key).map(|(key, number)| {
            SmsConsentEvent::ConsentInvalidated {
                resident_id,
                number,
                number_key: key,
                cause: InvalidationCause::NumberChanged {},
                evidence: evidence.clone(),
            }
        });
        let granted = SmsConsentEvent::ConsentGranted {
            resident_id,
            number: pending.number.clone(),
            number_key,
            challenge,
            disclosure: pending.disclosure.clone(),
            checkbox: pending.checkbox,
            scope: pending.scope,
            source: ConsentSource::Portal,
            phone_revision: pending.phone_revision,
            evidence: evidence.clone(),
        };
        Ok(former.chain([granted]).collect())
    }

    fn example() -> Value {
        json!({ "resident_id": "01935c2e-0000-7000-8000-000000000201", "code": "048213" })
    }
}

impl ConfirmSmsConsent {
    fn is_code(&self, challenge: u32, context: &Context) -> bool {
        let typed: String = self.code.as_str().chars().filter(char::is_ascii_digit).collect();
        typed == SmsConsent::code(&context.blind, self.resident_id, challenge)
    }
}
