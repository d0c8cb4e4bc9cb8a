//! A resident's consent to be texted: who may grant it, what ends it, and the authority for each single text.
//!
//! One stream per resident and organization, with a standing per number, so that "the number is current" is decided in the same order
//! as "STOP": see `docs/adr/0013`.

mod authorize;
mod claim;
mod evolve;
mod inbound;
mod opt_in;
mod revoke;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use events::{
    InboundId, Language, NumberKey, Phone, Purpose, ResidentId, Role, Sealed, SignInId, SmsConsentEvent, TextId,
    TimeZone,
    disclosure::ShownDisclosure,
    sms_consent::{
        Checkbox, ConsentScope, ConsentSource, Evidence, InvalidationCause, OptInRefusal, Reading, SessionEvidence,
        SignInMethod,
    },
    text_message::{KeywordReply, TextSuppression},
};
use uuid::Uuid;

pub use self::{
    authorize::{Authority, AuthorizeText, ReviewSmsConsent},
    claim::RefuseClaimedOptIn,
    inbound::{Concern, DecideHeldText, ProviderReading, REPLY_WITHIN, RecordInboundText},
    opt_in::{CODES_A_DAY, CODES_AN_HOUR, ConfirmSmsConsent, RecordSmsConsent, RequestSmsCode, ShowDisclosure},
    revoke::{RecordProviderBlock, RecordUndeliverable, RecordVerbalOptOut, ReportNumberReassigned, RevokeSmsConsent},
};
use crate::{Aggregate, Blind, Context, Facts, Need, Resident, Scope};

/// How long a code is good.
pub const CODE_HOLDS: TimeDelta = TimeDelta::minutes(10);
/// How long an authority to send lasts.
pub const AUTHORITY_HOLDS: TimeDelta = TimeDelta::seconds(30);
const MANAGERS: &[Role] = &[Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager];

refusals! {
    pub enum SmsConsentRefusal {
        NotFound = Missing, "there is no such resident";
        OnlyTheResident = Forbidden, "only the resident can agree to texts, signed in to the portal; the attempt is on record";
        NotWhileImpersonated = Forbidden, "nobody agrees to texts in somebody else's name; the attempt is on record";
        PreTicked = Forbidden, "the box must not be ticked beforehand; the attempt is on record";
        NotTicked = Invalid, "the box has to be ticked to agree";
        NothingShown = Conflict, "show the disclosure first, in this session, and refer to it within a day";
        NotLivingThere = Conflict, "the resident does not live in that property";
        Unwelcome = Conflict, "whoever has this number wants no texts; START from it takes that back";
        TooManyCodes = Conflict, "too many codes were asked for; wait an hour, or until tomorrow";
        NothingPending = Conflict, "no number waits to be confirmed; save it first";
        CodeExpired = Conflict, "the code is out of date; ask for another one";
        WrongCode { left: u32 } = Invalid, "the code is wrong; {left} attempts are left";
        NoAttemptsLeft = Conflict, "too many wrong codes; ask for another one";
        NoConsent = Conflict, "the resident never agreed to texts";
        NotConfirmed = Conflict, "the number is not confirmed";
        ConsentRevoked = Conflict, "the consent was revoked";
        ConsentInvalidated = Conflict, "the consent does not hold any more";
        NumberChanged = Conflict, "the resident has another number now";
        ResidentInactive = Conflict, "the resident is not written to";
        ResidentErased = Conflict, "the resident's personal data was erased";
        MovedOut = Conflict, "the resident lives in none of the organization's properties";
        CodeOutdated = Conflict, "the code is out of date or another one was asked for since";
        ReplyTooLate = Conflict, "more than five minutes have passed since the text that this answers";
        ReplyGiven = Conflict, "the text that this answers had its answer, or needs none";
        Paused = Conflict, "a text of the resident may mean \"stop\", and nobody has read it yet";
        NoSuchText = Missing, "there is no such text to be read";
    }
}

impl SmsConsentRefusal {
    /// Why a text is not sent when its authority was refused with this code; absent for what has to be tried again.
    pub fn suppression(code: &str) -> Option<TextSuppression> {
        Some(match code {
            "NoConsent" | "NotFound" => TextSuppression::NoConsent,
            "NotConfirmed" => TextSuppression::NotConfirmed,
            "ConsentRevoked" => TextSuppression::ConsentRevoked,
            "ConsentInvalidated" => TextSuppression::ConsentInvalidated,
            "NumberChanged" => TextSuppression::NumberChanged,
            "ResidentInactive" => TextSuppression::ResidentInactive,
            "ResidentErased" => TextSuppression::ResidentErased,
            "MovedOut" => TextSuppression::MovedOut,
            "CodeOutdated" => TextSuppression::CodeOutdated,
            "ReplyTooLate" => TextSuppression::ReplyTooLate,
            "ReplyGiven" => TextSuppression::ReplyGiven,
            _ => return None,
        })
    }
}

/// Consent as decisions need it.
#[derive(Debug, Default)]
pub struct SmsConsent {
    /// Of the stream: events are named by it.
    version: i64,
    resident: Option<ResidentId>,
    numbers: BTreeMap<NumberKey, Known>,
    /// Numbers that were confirmed by a code and not reported as somebody else's since: whoever texts from them knows us.
    confirmed: BTreeSet<NumberKey>,
    pending: Option<Pending>,
    shown: Vec<Shown>,
    /// When codes were issued.
    issued: Vec<DateTime<Utc>>,
    challenges: u32,
    inbound: BTreeMap<InboundId, Inbound>,
    /// Texts that a person has to read first.
    held: BTreeSet<InboundId>,
    authorized: BTreeMap<TextId, Authority>,
    /// When something was last done that evidence has to be kept of.
    last_evidence: Option<DateTime<Utc>>,
    /// Numbers for which an import claimed a consent.
    claimed: BTreeSet<NumberKey>,
    /// Of the resident, as they last told.
    zone: Option<TimeZone>,
    language: Language,
}

/// A number that was ever agreed to.
#[derive(Debug, Clone)]
struct Known {
    number: Sealed<Phone>,
    standing: Standing,
}

/// How a number stands, and by which event.
#[derive(Debug, Clone)]
enum Standing {
    Granted(Grant),
    Revoked { version: i64, before: Option<Grant> },
    Invalidated { version: i64 },
}

impl Standing {
    /// Of the event by which the number stands so.
    const fn version(&self) -> i64 {
        match self {
            Self::Granted(grant) => grant.version,
            Self::Revoked { version, .. } | Self::Invalidated { version } => *version,
        }
    }
}

/// What the resident granted.
#[derive(Debug, Clone)]
struct Grant {
    /// Of the event that the consent stands on: the grant, or what restored it.
    version: i64,
    /// Of the event by which the resident granted it.
    granted_by: i64,
    disclosure: ShownDisclosure,
    checkbox: Checkbox,
    scope: ConsentScope,
    phone_revision: u32,
}

/// A number that waits for its code.
#[derive(Debug, Clone)]
struct Pending {
    number: Sealed<Phone>,
    key: NumberKey,
    disclosure: ShownDisclosure,
    checkbox: Checkbox,
    scope: ConsentScope,
    phone_revision: u32,
    challenge: u32,
    expires_at: DateTime<Utc>,
    issued_at: DateTime<Utc>,
    attempts: u32,
}

/// A disclosure that was shown, where and when.
#[derive(Debug, Clone)]
struct Shown {
    disclosure: ShownDisclosure,
    session: Option<SignInId>,
    at: DateTime<Utc>,
}

/// A text that came.
#[derive(Debug, Clone)]
struct Inbound {
    number: Sealed<Phone>,
    key: NumberKey,
    reading: Reading,
    reply: Option<KeywordReply>,
    received_at: DateTime<Utc>,
    answered_by: Option<TextId>,
}

impl SmsConsent {
    /// There is one per resident.
    pub fn id(resident: ResidentId) -> Uuid {
        Uuid::new_v5(&resident.0, b"sms-consent")
    }

    /// The name of one of its events, as texts refer to it.
    pub fn reference(resident: ResidentId, version: i64) -> String {
        format!("sms-consent/{}/{version}", Self::id(resident))
    }

    /// The number that may be texted, and the version of the event that says so.
    pub fn standing(&self) -> Option<(NumberKey, &Sealed<Phone>, i64)> {
        self.granted().map(|(key, number, grant)| (key, number, grant.version))
    }

    /// The version of the event that decides today: that of the grant, or that of its end. The number confirmed last counts.
    pub fn decisive(&self) -> Option<i64> {
        if let Some((_, _, grant)) = self.granted() {
            return Some(grant.version);
        }
        self.numbers.values().map(|known| known.standing.version()).max()
    }

    /// The zone that the resident's browser last told.
    pub const fn zone(&self) -> Option<TimeZone> {
        self.zone
    }

    /// Whether the programme waits for a person to read something.
    pub fn is_paused(&self) -> bool {
        !self.held.is_empty()
    }

    /// When a consent was last asked for, given, used or ended, or a word about it came. Absent where nothing ever was.
    pub const fn last_evidence(&self) -> Option<DateTime<Utc>> {
        self.last_evidence
    }

    /// The authority that was given for a text.
    pub fn authority(&self, text: TextId) -> Option<&Authority> {
        self.authorized.get(&text)
    }

    /// The code of a challenge: derived, so that it is stored nowhere.
    pub fn code(blind: &Blind, resident: ResidentId, challenge: u32) -> String {
        let hash = blind.hash(&format!("sms-code/{resident}/{challenge}"));
        // The upper bytes carry a UUID's version and variant.
        let number = hash.as_bytes()[9..].iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        format!("{:06}", number % 1_000_000)
    }

    /// There is at most one: granting another number ends the one before.
    fn granted(&self) -> Option<(NumberKey, &Sealed<Phone>, &Grant)> {
        self.numbers.iter().find_map(|(key, known)| match &known.standing {
            Standing::Granted(grant) => Some((*key, &known.number, grant)),
            Standing::Revoked { .. } | Standing::Invalidated { .. } => None,
        })
    }

    /// Every number that is or may again be texted: granted, waiting for its code, or restorable by a word.
    fn live(&self) -> Vec<(NumberKey, Sealed<Phone>)> {
        let pending = self.pending.iter().map(|pending| (pending.key, pending.number.clone()));
        let known = self.numbers.iter().filter(|(_, known)| match &known.standing {
            Standing::Granted(_) => true,
            Standing::Revoked { before, .. } => before.is_some(),
            Standing::Invalidated { .. } => false,
        });
        let mut live: BTreeMap<NumberKey, Sealed<Phone>> =
            known.map(|(key, known)| (*key, known.number.clone())).collect();
        live.extend(pending);
        live.into_iter().collect()
    }
}

/// What has made a consent void meanwhile, as the resident's record says.
fn voided(resident: &Resident, number: Option<&Phone>, phone_revision: u32) -> Option<InvalidationCause> {
    if resident.erased {
        return Some(InvalidationCause::Erased {});
    }
    if !resident.is_active() {
        return Some(InvalidationCause::Deactivated {});
    }
    if resident.homes.is_empty() {
        return Some(InvalidationCause::MovedOut {});
    }
    let record = resident.record.as_ref().and_then(|record| record.phone.as_ref()?.value());
    let recorded = record.and_then(|phone| Phone::parse(phone.as_str()).ok());
    let changed = resident.phone_revision > phone_revision && (recorded.is_none() || recorded.as_ref() != number);
    changed.then_some(InvalidationCause::NumberChanged {})
}

/// The refusal of an attempt that went on record.
const fn refusal_of(why: OptInRefusal) -> SmsConsentRefusal {
    match why {
        OptInRefusal::NotTheResident | OptInRefusal::NoSession | OptInRefusal::ClaimedByImport => {
            SmsConsentRefusal::OnlyTheResident
        }
        OptInRefusal::Impersonated => SmsConsentRefusal::NotWhileImpersonated,
        OptInRefusal::PreTicked => SmsConsentRefusal::PreTicked,
    }
}

/// Whose stream it is, and which properties' managers may touch it.
fn scope_of(resident_id: ResidentId, facts: &Facts) -> Scope {
    match &facts.resident {
        Some(resident) => resident.scope_of(resident_id),
        None => Scope { properties: Vec::new(), resident: Some(resident_id) },
    }
}

fn personal<T>(resident: ResidentId, value: T) -> Sealed<T> {
    Sealed::new(resident.0, Purpose::Consent, value)
}

/// Who, from where, when.
fn evidence_of(resident: ResidentId, context: &Context, zone: Option<TimeZone>, locale: Language) -> Evidence {
    let channel = &context.channel;
    let session = channel.session.and_then(|session_id| {
        let opened_at = context.facts.session.as_ref()?.opened_by(resident, context.now)?;
        Some(SessionEvidence { session_id, method: SignInMethod::EmailLink, opened_at })
    });
    Evidence {
        actor: channel.actor_name.clone(),
        role: context.actor.role,
        session,
        impersonator: channel.impersonator.clone(),
        address: channel.address.clone().map(|address| personal(resident, address)),
        user_agent: channel.user_agent.clone().map(|agent| personal(resident, agent)),
        at: context.now,
        zone: zone.unwrap_or(TimeZone::UTC),
        locale,
    }
}

fn resident_and_session(resident: ResidentId) -> Vec<Need> {
    vec![Need::Resident(resident), Need::Session]
}

#[cfg(test)]
mod tests;
