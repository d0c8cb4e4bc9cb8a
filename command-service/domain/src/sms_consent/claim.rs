//! A consent that a spreadsheet claims: never counted, and put on record once for each number.

use events::{OrganizationId, Phone, ResidentId, Role, SmsConsentEvent, sms_consent::OptInRefusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{SmsConsent, SmsConsentRefusal, evidence_of, personal, scope_of};
use crate::{Command, Context, Decision, Facts, Need, Scope};

/// Puts on record that an import claimed a resident's consent to texts. It grants nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefuseClaimedOptIn {
    pub resident_id: ResidentId,
    pub phone: Phone,
}

impl Command for RefuseClaimedOptIn {
    type Aggregate = SmsConsent;
    const NAME: &'static str = "RefuseClaimedOptIn";
    const ROLES: &'static [Role] = &[Role::Operator];

    fn stream(&self, _: OrganizationId) -> Uuid {
        SmsConsent::id(self.resident_id)
    }

    fn scope_with(&self, _: &SmsConsent, facts: &Facts) -> Scope {
        scope_of(self.resident_id, facts)
    }

    fn needs(&self, _: &SmsConsent, _: &Facts) -> Vec<Need> {
        vec![Need::Resident(self.resident_id)]
    }

    fn decide(self, state: &SmsConsent, context: &Context) -> Decision<SmsConsent> {
        let resident = context.facts.resident.as_ref().filter(|resident| resident.record.is_some());
        let resident = resident.ok_or(SmsConsentRefusal::NotFound)?;
        let number_key = context.blind.number(&self.phone);
        // The same file again says nothing new; of an erased resident nothing is kept.
        if resident.erased || state.claimed.contains(&number_key) {
            return Ok(vec![]);
        }
        Ok(vec![SmsConsentEvent::OptInRefused {
            resident_id: self.resident_id,
            number: personal(self.resident_id, self.phone),
            number_key,
            why: OptInRefusal::ClaimedByImport,
            evidence: evidence_of(self.resident_id, context, state.zone, state.language),
        }])
    }

    fn example() -> Value {
        json!({ "resident_id": "01935c2e-0000-7000-8000-000000000201", "phone": "+13055550143" })
    }
}
