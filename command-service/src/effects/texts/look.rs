//! The last look before a text: who the resident is, where they may be, what the property and the invoice say.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Invoice, Organization, Property, Resident, SmsConsent, invoice,
    property::Details,
    quiet_hours::{Place, Policy, Region, places},
    text_message::Request,
};
use events::{
    Money, NumberKey, OrganizationId, ResidentId, TimeZone,
    text_message::{Grounds, TextContent, TextSuppression},
};

use crate::{Fault, effects::Effects};

/// With less than this left of the permitted hours a text could arrive after them.
const TO_ARRIVE: TimeDelta = TimeDelta::seconds(30);

/// Whether the hour permits a text.
pub(super) enum Hours {
    Open { until: DateTime<Utc> },
    Closed { until: DateTime<Utc> },
    Never,
}

/// What was seen.
pub(super) struct Look {
    resident: Resident,
    consent: SmsConsent,
    policy: &'static Policy,
    homes: Vec<Place>,
    /// What the text is about, else the only home.
    pub details: Option<Details>,
    pub organization: String,
    pub invoice: Option<Invoice>,
}

/// A property's own facts.
pub async fn facts_of_property(
    effects: &Effects,
    organization: OrganizationId,
    id: events::PropertyId,
) -> Result<Option<Details>, Fault> {
    Ok(effects.engine.state::<Property>(organization, id.0).await?.details)
}

impl Look {
    pub async fn take(effects: &Effects, organization: OrganizationId, request: &Request) -> Result<Self, Fault> {
        let engine = &effects.engine;
        let policy = Policy::current();
        let resident: Resident = engine.state(organization, request.resident.0).await?;
        let mut properties: Vec<_> = resident.homes.iter().map(|home| home.property_id).collect();
        properties.sort_unstable_by_key(|id| id.0);
        properties.dedup();
        let (mut homes, mut known) = (Vec::new(), Vec::new());
        for id in &properties {
            if let Some(details) = facts_of_property(effects, organization, *id).await? {
                homes.push(Place::of(&details.address, details.time_zone, policy));
                known.push((*id, details));
            }
        }
        let details = match request.property {
            Some(id) => match known.into_iter().find(|(home, _)| *home == id) {
                Some((_, details)) => Some(details),
                None => facts_of_property(effects, organization, id).await?,
            },
            None if known.len() == 1 => known.pop().map(|(_, details)| details),
            None => None,
        };
        let company: Organization = engine.state(organization, organization.0).await?;
        let invoice = match request.content.invoice_id() {
            Some(id) => Some(engine.state(organization, id.0).await?),
            None => None,
        };
        Ok(Self {
            consent: engine.state(organization, SmsConsent::id(request.resident)).await?,
            resident,
            policy,
            homes,
            details,
            organization: company.name.map(String::from).unwrap_or_default(),
            invoice,
        })
    }

    /// What stands against the text, whatever the consent says.
    pub fn against(&self, request: &Request) -> Option<TextSuppression> {
        if self.resident.erased {
            return Some(TextSuppression::ResidentErased);
        }
        if !self.resident.is_active() {
            return Some(TextSuppression::ResidentInactive);
        }
        let kind = request.content.kind();
        let off = || self.details.as_ref().is_some_and(|details| !details.texts(kind));
        if request.property.is_some() && off() {
            return Some(TextSuppression::KindSwitchedOff);
        }
        self.overtaken(&request.content).then_some(TextSuppression::Overtaken)
    }

    fn overtaken(&self, content: &TextContent) -> bool {
        let asks = match content {
            TextContent::InvoicePublished { .. } | TextContent::PaymentFailed { .. } => true,
            TextContent::PaymentReceived { .. }
            | TextContent::ConsentCode { .. }
            | TextContent::ConsentConfirmed {}
            | TextContent::KeywordReply { .. } => false,
        };
        let owed = |invoice: &Invoice| {
            invoice.phase == invoice::Phase::Published && invoice.expected().is_ok_and(Money::is_positive)
        };
        asks && !self.invoice.as_ref().is_some_and(owed)
    }

    /// The number that may be texted.
    pub fn number(&self) -> Option<&str> {
        self.consent.standing().and_then(|(_, number, _)| number.value()).map(events::Phone::as_str)
    }

    pub fn number_key(&self) -> Option<NumberKey> {
        self.consent.standing().map(|(key, ..)| key)
    }

    /// Wherever the recipient may be: at home, where the number was given out, where their browser last was.
    pub fn hours(&self, number: &str, now: DateTime<Utc>) -> Hours {
        let mut all = places(self.homes.iter().copied(), number);
        if let Some(zone) = self.consent.zone()
            && !all.iter().any(|place| place.zone == zone)
            && !all.is_empty()
        {
            all.push(Place { zone, region: Region::Known("") });
        }
        let open = self.policy.open(&all, now);
        match open {
            Some(open) if open.until - now >= TO_ARRIVE => Hours::Open { until: open.until },
            Some(open) => self.next(&all, open.until),
            None => self.next(&all, now),
        }
    }

    fn next(&self, all: &[Place], from: DateTime<Utc>) -> Hours {
        self.policy.next(all, from).map_or(Hours::Never, |until| Hours::Closed { until })
    }

    fn zone(&self) -> Option<TimeZone> {
        let home = || self.homes.first().map(|home| home.zone);
        self.details.as_ref().map(|details| details.time_zone).or_else(home).or_else(|| self.consent.zone())
    }

    /// What the text, or its absence, rests on.
    pub fn grounds(&self, resident: ResidentId, now: DateTime<Utc>) -> Grounds {
        let zone = self.zone();
        Grounds {
            consent: self.consent.decisive().map(|version| SmsConsent::reference(resident, version)),
            policy: Some(self.policy.version.to_owned()),
            zone,
            local_time: zone.map(|zone| now.with_timezone(&zone.tz()).fixed_offset()),
        }
    }
}
