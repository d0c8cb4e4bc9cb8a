//! A resident's record: who, how to reach them, where they live, and its erasure.

use chrono::{Months, NaiveDate};
use events::{
    EmailAddress, Language, OrganizationId, PropertyId, Purpose, ResidentEvent, ResidentId, Role, Sealed, UnitId,
    resident::{ResidentStatus, Retained, RetentionRule, Tenure},
    text::{Line, PersonName},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Actor, Aggregate, Command, Context, Decision, Facts, Need, Scope, payment::PROCESS};

const MANAGERS: &[Role] = &[Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager, Role::Operator];
const MANAGERS_AND_SELF: &[Role] =
    &[Role::OrganizationManager, Role::PropertyAdmin, Role::PropertyManager, Role::Operator, Role::Resident];

/// Years that financial records are kept for tax law.
const FINANCE_YEARS: u32 = 7;
/// Years that evidence of consent is kept (16 CFR 310.5).
const CONSENT_YEARS: u32 = 5;

/// Where a resident lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Home {
    pub property_id: PropertyId,
    pub unit_id: UnitId,
    pub tenure: Tenure,
    #[serde(deserialize_with = "crate::day::day")]
    pub on: NaiveDate,
}

/// Enters a person, with their first home. A telephone number here is never consent to be texted.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterResident {
    pub resident_id: ResidentId,
    pub name: PersonName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailAddress>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Line<40>>,
    #[serde(default)]
    pub language: Language,
    pub home: Home,
}

/// Corrects a resident's name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameResident {
    pub resident_id: ResidentId,
    pub name: PersonName,
}

/// Corrects or removes the e-mail address. Where the resident has a home in another property, too, it is not a property's to change.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeResidentEmail {
    pub resident_id: ResidentId,
    pub email: Option<EmailAddress>,
}

/// Corrects or removes the telephone number of the record. Never consent to be texted. Where the resident has a home in another
/// property, too, it is not a property's to change.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeResidentPhone {
    pub resident_id: ResidentId,
    pub phone: Option<Line<40>>,
}

/// Changes the language of e-mails.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeResidentLanguage {
    pub resident_id: ResidentId,
    pub language: Language,
}

/// Starts or stops writing to a resident.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeResidentStatus {
    pub resident_id: ResidentId,
    pub status: ResidentStatus,
}

/// Records that a resident took up a unit.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveResidentIn {
    pub resident_id: ResidentId,
    pub home: Home,
}

/// Records that a resident left a unit.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveResidentOut {
    pub resident_id: ResidentId,
    pub unit_id: UnitId,
    #[serde(deserialize_with = "crate::day::day")]
    pub on: NaiveDate,
}

/// Destroys the keys of a resident's personal data, as far as no retention stands against it. The answer says what is kept, by which
/// rule, and until when; asked again, it says so again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseResident {
    pub resident_id: ResidentId,
}

/// Destroys what was kept of an erased resident and whose retention has ended.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndRetention {
    pub resident_id: ResidentId,
}

refusals! {
    pub enum ResidentRefusal {
        NotFound = Missing, "there is no such resident";
        RegisteredOtherwise = Conflict, "a resident with this id is registered with other details; change those instead";
        NoSuchUnit = Invalid, "there is no such unit in that property; add it first";
        NotLivingThere = Conflict, "the resident does not live in that unit";
        Erased = Conflict, "the resident's personal data was erased; register the person anew if they return";
        LivesElsewhereToo = Forbidden, "only the resident and managers of the whole organization change how this resident is reached";
        LeftBeforeComing = Invalid, "the day of moving out is before the day of moving in";
    }
}

/// Who they are, as far as decisions need it.
#[derive(Debug, Default)]
pub struct Resident {
    pub record: Option<Record>,
    pub homes: Vec<Home>,
    /// Every property they ever lived in: its managers keep seeing what concerns them.
    properties: Vec<PropertyId>,
    /// Where they lived before, and until when.
    left: Vec<(UnitId, NaiveDate)>,
    pub erased: bool,
    /// What is kept of an erased resident for now.
    pub retained: Vec<Retained>,
    /// How often the number of the record changed.
    pub phone_revision: u32,
}

#[derive(Debug, Clone)]
pub struct Record {
    pub name: Sealed<PersonName>,
    pub email: Option<Sealed<EmailAddress>>,
    pub phone: Option<Sealed<Line<40>>>,
    pub language: Language,
    pub status: ResidentStatus,
}

impl Resident {
    pub fn is_active(&self) -> bool {
        !self.erased && self.record.as_ref().is_some_and(|record| record.status == ResidentStatus::Active)
    }

    /// Whether they lived in the unit once and left.
    pub fn has_left(&self, unit: UnitId) -> bool {
        !self.lives_in(unit) && self.left.iter().any(|(left, _)| *left == unit)
    }

    /// Every property they ever lived in.
    pub fn properties(&self) -> &[PropertyId] {
        &self.properties
    }

    pub fn lives_in(&self, unit: UnitId) -> bool {
        self.homes.iter().any(|home| home.unit_id == unit)
    }

    /// Whether somebody whose word counts in one property only speaks for all of the resident's homes.
    fn lives_within(&self, actor: &Actor) -> bool {
        actor.property.is_none_or(|own| self.homes.iter().all(|home| home.property_id == own))
    }

    /// Whoever changes how a resident is reached can sign in as them, and sees and pays what is theirs everywhere.
    fn reachable_by(&self, actor: &Actor) -> Result<(), ResidentRefusal> {
        if actor.role == Role::Resident || self.lives_within(actor) {
            Ok(())
        } else {
            Err(ResidentRefusal::LivesElsewhereToo)
        }
    }

    fn record(&self) -> Result<&Record, ResidentRefusal> {
        if self.erased {
            return Err(ResidentRefusal::Erased);
        }
        self.record.as_ref().ok_or(ResidentRefusal::NotFound)
    }
}

impl Aggregate for Resident {
    type Event = ResidentEvent;
    type Refusal = ResidentRefusal;

    fn evolve(&mut self, event: &ResidentEvent) {
        match event.clone() {
            ResidentEvent::ResidentRegistered { name, email, phone, language } => {
                self.record = Some(Record { name, email, phone, language, status: ResidentStatus::Active });
            }
            ResidentEvent::ResidentRenamed { name } => self.change(|record| record.name = name),
            ResidentEvent::ResidentEmailChanged { email } => self.change(|record| record.email = email),
            ResidentEvent::ResidentPhoneChanged { phone } => {
                self.phone_revision += 1;
                self.change(|record| record.phone = phone);
            }
            ResidentEvent::ResidentLanguageChanged { language } => self.change(|record| record.language = language),
            ResidentEvent::ResidentStatusChanged { status } => self.change(|record| record.status = status),
            ResidentEvent::ResidentMovedIn { property_id, unit_id, tenure, on } => {
                self.homes.push(Home { property_id, unit_id, tenure, on });
                if !self.properties.contains(&property_id) {
                    self.properties.push(property_id);
                }
            }
            ResidentEvent::ResidentMovedOut { unit_id, on, .. } => {
                self.homes.retain(|home| home.unit_id != unit_id);
                self.left.push((unit_id, on));
            }
            ResidentEvent::ResidentErased { retained, .. } => {
                self.erased = true;
                self.retained = retained;
                // Whatever a key still opens is no business of decisions any more.
                self.change(|record| {
                    record.name = Sealed::Erased;
                    record.email = None;
                    record.phone = None;
                });
            }
        }
    }
}

impl Resident {
    fn change(&mut self, change: impl FnOnce(&mut Record)) {
        if let Some(record) = &mut self.record {
            change(record);
        }
    }

    /// The scope of a command about this resident, whose id the stream itself does not repeat.
    /// Present homes only: who has left a property is no longer its managers' to change.
    pub(crate) fn scope_of(&self, id: ResidentId) -> Scope {
        let mut properties: Vec<PropertyId> = self.homes.iter().map(|home| home.property_id).collect();
        properties.dedup();
        Scope { properties, resident: Some(id) }
    }
}

fn contact<T>(resident: ResidentId, value: T) -> Sealed<T> {
    Sealed::new(resident.0, Purpose::Contact, value)
}

/// Whether the unit is known, in that property.
fn unit_exists(home: &Home, context: &Context) -> Result<(), ResidentRefusal> {
    match &context.facts.unit {
        Some(unit) if unit.property == Some(home.property_id) => Ok(()),
        _ => Err(ResidentRefusal::NoSuchUnit),
    }
}

fn moved_in(home: Home) -> ResidentEvent {
    let Home { property_id, unit_id, tenure, on } = home;
    ResidentEvent::ResidentMovedIn { property_id, unit_id, tenure, on }
}

impl Command for RegisterResident {
    type Aggregate = Resident;
    const NAME: &'static str = "RegisterResident";
    const ROLES: &'static [Role] = MANAGERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.resident_id.0
    }

    fn scope(&self, _: &Resident) -> Scope {
        Scope::property(self.home.property_id)
    }

    fn needs(&self, _: &Resident, _: &Facts) -> Vec<Need> {
        vec![Need::Unit(self.home.unit_id)]
    }

    fn decide(self, state: &Resident, context: &Context) -> Decision<Resident> {
        let name = contact(self.resident_id, self.name);
        let email = self.email.map(|email| contact(self.resident_id, email));
        let phone = self.phone.map(|phone| contact(self.resident_id, phone));
        match &state.record {
            // Compared with the details as registered or as changed since: either way there is nothing to do.
            Some(known) if state.erased || (known.name == name && known.email == email) => Ok(vec![]),
            Some(_) => Err(ResidentRefusal::RegisteredOtherwise),
            None => {
                unit_exists(&self.home, context)?;
                Ok(vec![
                    ResidentEvent::ResidentRegistered { name, email, phone, language: self.language },
                    moved_in(self.home),
                ])
            }
        }
    }

    fn example() -> Value {
        json!({
            "resident_id": "01935c2e-0000-7000-8000-000000000201",
            "name": { "first": "Ana", "last": "Ruiz" },
            "email": "ana.ruiz@example.com",
            "phone": "+13055550143",
            "language": "es",
            "home": {
                "property_id": "01935c2e-0000-7000-8000-000000000001",
                "unit_id": "01935c2e-0000-7000-8000-000000000101",
                "tenure": "Owner",
                "on": "2026-01-01"
            }
        })
    }
}

/// A command that replaces one field of the record.
macro_rules! changes {
    ($command:ident, $roles:expr, |$self:ident, $record:ident| $event:expr, $example:expr) => {
        changes!($command, $roles, |_, _| Ok(()), |$self, $record| $event, $example);
    };
    ($command:ident, $roles:expr, $guard:expr, |$self:ident, $record:ident| $event:expr, $example:expr) => {
        impl Command for $command {
            type Aggregate = Resident;
            const NAME: &'static str = stringify!($command);
            const ROLES: &'static [Role] = $roles;

            fn stream(&self, _: OrganizationId) -> Uuid {
                self.resident_id.0
            }

            fn scope(&self, state: &Resident) -> Scope {
                state.scope_of(self.resident_id)
            }

            fn decide($self, state: &Resident, context: &Context) -> Decision<Resident> {
                let $record = state.record()?;
                let guard: fn(&Resident, &Actor) -> Result<(), ResidentRefusal> = $guard;
                guard(state, &context.actor)?;
                let event: Option<ResidentEvent> = $event;
                Ok(event.into_iter().collect())
            }

            fn example() -> Value {
                $example
            }
        }
    };
}

changes!(
    RenameResident,
    MANAGERS,
    |self, record| {
        let name = contact(self.resident_id, self.name);
        (record.name != name).then_some(ResidentEvent::ResidentRenamed { name })
    },
    json!({ "resident_id": "01935c2e-0000-7000-8000-000000000201", "name": { "first": "Ana María", "last": "Ruiz" } })
);
changes!(
    ChangeResidentEmail,
    MANAGERS_AND_SELF,
    Resident::reachable_by,
    |self, record| {
        let email = self.email.map(|email| contact(self.resident_id, email));
        (record.email != email).then_some(ResidentEvent::ResidentEmailChanged { email })
    },
    json!({ "resident_id": "01935c2e-0000-7000-8000-000000000201", "email": "ana@example.net" })
);
changes!(
    ChangeResidentPhone,
    MANAGERS_AND_SELF,
    Resident::reachable_by,
    |self, record| {
        let phone = self.phone.map(|phone| contact(self.resident_id, phone));
        (record.phone != phone).then_some(ResidentEvent::ResidentPhoneChanged { phone })
    },
    json!({ "resident_id": "01935c2e-0000-7000-8000-000000000201", "phone": "+13055550144" })
);
changes!(
    ChangeResidentLanguage,
    MANAGERS_AND_SELF,
    |self, record| {
        let language = self.language;
        (record.language != language).then_some(ResidentEvent::ResidentLanguageChanged { language })
    },
    json!({ "resident_id": "01935c2e-0000-7000-8000-000000000201", "language": "en" })
);
changes!(
    ChangeResidentStatus,
    MANAGERS,
    |self, record| {
        let status = self.status;
        (record.status != status).then_some(ResidentEvent::ResidentStatusChanged { status })
    },
    json!({ "resident_id": "01935c2e-0000-7000-8000-000000000201", "status": "Inactive" })
);

impl Command for MoveResidentIn {
    type Aggregate = Resident;
    const NAME: &'static str = "MoveResidentIn";
    const ROLES: &'static [Role] = MANAGERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.resident_id.0
    }

    /// The property that the resident comes to; [`Self::decide`] looks at where they come from.
    fn scope(&self, _: &Resident) -> Scope {
        Scope::property(self.home.property_id)
    }

    fn needs(&self, _: &Resident, _: &Facts) -> Vec<Need> {
        vec![Need::Unit(self.home.unit_id)]
    }

    fn decide(self, state: &Resident, context: &Context) -> Decision<Resident> {
        // Whoever manages one property only cannot fetch a person out of another, also not one who lived here once: their record,
        // and with it their account, would come along.
        if let Some(own) = context.actor.property {
            let gone = !state.homes.is_empty() && state.homes.iter().all(|home| home.property_id != own);
            if gone || !state.properties.contains(&own) {
                return Err(ResidentRefusal::NotFound);
            }
        }
        state.record()?;
        unit_exists(&self.home, context)?;
        Ok(if state.lives_in(self.home.unit_id) { vec![] } else { vec![moved_in(self.home)] })
    }

    fn example() -> Value {
        json!({
            "resident_id": "01935c2e-0000-7000-8000-000000000201",
            "home": {
                "property_id": "01935c2e-0000-7000-8000-000000000001",
                "unit_id": "01935c2e-0000-7000-8000-000000000102",
                "tenure": "Tenant",
                "on": "2026-06-01"
            }
        })
    }
}

impl Command for MoveResidentOut {
    type Aggregate = Resident;
    const NAME: &'static str = "MoveResidentOut";
    const ROLES: &'static [Role] = MANAGERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.resident_id.0
    }

    /// The property that the resident leaves.
    fn scope(&self, state: &Resident) -> Scope {
        let home = state.homes.iter().find(|home| home.unit_id == self.unit_id);
        // Without a home there is nothing to change, and a repeat may still be answered.
        let left = || Scope { properties: state.properties.clone(), resident: Some(self.resident_id) };
        home.map_or_else(left, |home| Scope::property(home.property_id))
    }

    fn decide(self, state: &Resident, _: &Context) -> Decision<Resident> {
        if state.record.is_none() {
            return Err(ResidentRefusal::NotFound);
        }
        let Some(home) = state.homes.iter().find(|home| home.unit_id == self.unit_id) else {
            let repeated = state.left.contains(&(self.unit_id, self.on));
            return if repeated { Ok(vec![]) } else { Err(ResidentRefusal::NotLivingThere) };
        };
        if self.on < home.on {
            return Err(ResidentRefusal::LeftBeforeComing);
        }
        let (property_id, unit_id) = (home.property_id, self.unit_id);
        Ok(vec![ResidentEvent::ResidentMovedOut { property_id, unit_id, on: self.on }])
    }

    fn example() -> Value {
        json!({
            "resident_id": "01935c2e-0000-7000-8000-000000000201",
            "unit_id": "01935c2e-0000-7000-8000-000000000102",
            "on": "2026-12-31"
        })
    }
}

impl Command for EraseResident {
    type Aggregate = Resident;
    const NAME: &'static str = "EraseResident";
    const ROLES: &'static [Role] = &[Role::OrganizationManager];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.resident_id.0
    }

    fn scope(&self, state: &Resident) -> Scope {
        state.scope_of(self.resident_id)
    }

    fn needs(&self, _: &Resident, _: &Facts) -> Vec<Need> {
        vec![Need::SmsConsent(self.resident_id)]
    }

    fn decide(self, state: &Resident, context: &Context) -> Decision<Resident> {
        if state.record.is_none() {
            return Err(ResidentRefusal::NotFound);
        }
        if state.erased {
            return Ok(vec![]);
        }
        let today = context.now.date_naive();
        let mut purposes = vec![Purpose::Contact, Purpose::Message];
        let until = years_after(today, FINANCE_YEARS);
        let rule = Some(RetentionRule::FinancialRecords);
        let mut retained = vec![Retained { purpose: Purpose::Finance, until, rule }];
        match evidence_until(context).filter(|until| *until > today) {
            Some(until) => {
                let rule = Some(RetentionRule::ConsentEvidence);
                retained.push(Retained { purpose: Purpose::Consent, until, rule });
            }
            None => purposes.push(Purpose::Consent),
        }
        Ok(vec![ResidentEvent::ResidentErased { purposes, retained }])
    }

    fn example() -> Value {
        json!({ "resident_id": "01935c2e-0000-7000-8000-000000000201" })
    }
}

impl Command for EndRetention {
    type Aggregate = Resident;
    const NAME: &'static str = "EndRetention";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.resident_id.0
    }

    fn needs(&self, _: &Resident, _: &Facts) -> Vec<Need> {
        vec![Need::SmsConsent(self.resident_id)]
    }

    fn decide(self, state: &Resident, context: &Context) -> Decision<Resident> {
        let today = context.now.date_naive();
        if !state.retained.iter().any(|kept| kept.until <= today) {
            return Ok(vec![]);
        }
        let (mut purposes, mut retained) = (Vec::new(), Vec::new());
        for kept in &state.retained {
            // A STOP that came after the erasure is evidence too, and has a retention of its own.
            let moved = evidence_until(context).filter(|_| kept.purpose == Purpose::Consent);
            let until = moved.map_or(kept.until, |moved| moved.max(kept.until));
            if until <= today {
                purposes.push(kept.purpose);
            } else {
                retained.push(Retained { until, ..*kept });
            }
        }
        Ok(vec![ResidentEvent::ResidentErased { purposes, retained }])
    }

    fn example() -> Value {
        Value::Null
    }
}

fn years_after(day: NaiveDate, years: u32) -> NaiveDate {
    day.checked_add_months(Months::new(12 * years)).unwrap_or(NaiveDate::MAX)
}

/// The first day on which no evidence of consent has to be kept any more; absent where there is none. A day more than the years, so
/// that they are full in every zone.
fn evidence_until(context: &Context) -> Option<NaiveDate> {
    let last = context.facts.sms_consent.as_ref()?.last_evidence()?.date_naive();
    years_after(last, CONSENT_YEARS).succ_opt()
}

#[cfg(test)]
mod tests;
