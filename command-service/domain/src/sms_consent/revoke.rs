//! The ends of consent: in the portal, told to a manager, by the provider, and a number that is somebody else's now.

use events::{
    NumberKey, OrganizationId, Phone, ResidentId, Role, Sealed, SmsConsentEvent,
    sms_consent::{ConsentScope, InvalidationCause, RevocationCause},
    text::Line,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{MANAGERS, SmsConsent, SmsConsentRefusal, Standing, evidence_of, resident_and_session, scope_of};
use crate::{Command, Context, Decision, Facts, Need, Scope, payment::PROCESS};

/// Ends texts, at once. Only the portal brings them back then.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeSmsConsent {
    pub resident_id: ResidentId,
    #[serde(default)]
    pub scope: ConsentScope,
}

/// Records that the resident said or wrote that they want no texts. Managers can end consent; nobody but the resident gives it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordVerbalOptOut {
    pub resident_id: ResidentId,
    /// How the wish was heard. No names or numbers.
    pub note: Line<200>,
    #[serde(default)]
    pub scope: ConsentScope,
}

/// Records that the resident's number belongs to somebody else now.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportNumberReassigned {
    pub resident_id: ResidentId,
    /// How that is known. No names or numbers.
    pub note: Line<200>,
}

/// Records that the provider refuses to text a number because its owner has opted out there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordProviderBlock {
    pub resident_id: ResidentId,
    pub number_key: NumberKey,
    /// The provider's error code, 21610.
    pub code: u32,
}

/// Records that texts to a number do not arrive, for good.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordUndeliverable {
    pub resident_id: ResidentId,
    pub number_key: NumberKey,
    /// The provider's error code, 30005, 30006 or 21211.
    pub code: u32,
}

impl SmsConsent {
    /// The end of some numbers by somebody's wish.
    pub(super) fn revocations(
        &self,
        resident_id: ResidentId,
        numbers: Vec<(NumberKey, Sealed<Phone>)>,
        cause: &RevocationCause,
        scope: ConsentScope,
        context: &Context,
    ) -> Vec<SmsConsentEvent> {
        numbers
            .into_iter()
            .map(|(number_key, number)| SmsConsentEvent::ConsentRevoked {
                resident_id,
                number,
                number_key,
                cause: cause.clone(),
                scope,
                source: cause.source(),
                evidence: evidence_of(resident_id, context, self.zone, self.language),
            })
            .collect()
    }

    fn invalidations(
        &self,
        resident_id: ResidentId,
        numbers: Vec<(NumberKey, Sealed<Phone>)>,
        cause: &InvalidationCause,
        context: &Context,
    ) -> Vec<SmsConsentEvent> {
        numbers
            .into_iter()
            .map(|(number_key, number)| SmsConsentEvent::ConsentInvalidated {
                resident_id,
                number,
                number_key,
                cause: cause.clone(),
                evidence: evidence_of(resident_id, context, self.zone, self.language),
            })
            .collect()
    }

    fn live_under(&self, key: NumberKey) -> Vec<(NumberKey, Sealed<Phone>)> {
        self.live().into_iter().filter(|(live, _)| *live == key).collect()
    }
}

fn known(context: &Context) -> Result<(), SmsConsentRefusal> {
    let resident = context.facts.resident.as_ref();
    resident.and_then(|resident| resident.record.as_ref()).map(|_| ()).ok_or(SmsConsentRefusal::NotFound)
}

/// A command about a resident's consent whose decision looks at the resident only.
macro_rules! ends {
    ($command:ident, $roles:expr, |$self:ident, $state:ident, $context:ident| $decision:expr, $example:expr) => {
        impl Command for $command {
            type Aggregate = SmsConsent;
            const NAME: &'static str = stringify!($command);
            const ROLES: &'static [Role] = $roles;

            fn stream(&self, _: OrganizationId) -> Uuid {
                SmsConsent::id(self.resident_id)
            }

            fn scope_with(&self, _: &SmsConsent, facts: &Facts) -> Scope {
                scope_of(self.resident_id, facts)
            }

            fn needs(&self, _: &SmsConsent, _: &Facts) -> Vec<Need> {
                resident_and_session(self.resident_id)
            }

            fn decide($self, $state: &SmsConsent, $context: &Context) -> Decision<SmsConsent> {
                known($context)?;
                Ok($decision)
            }

            fn example() -> Value {
                $example
            }
        }
    };
}

ends!(
    RevokeSmsConsent,
    &[Role::Resident],
    |self, state, context| {
        state.revocations(self.resident_id, state.live(), &RevocationCause::Portal {}, self.scope, context)
    },
    json!({ "resident_id": "01935c2e-0000-7000-8000-000000000201", "scope": "All" })
);
ends!(
    RecordVerbalOptOut,
    MANAGERS,
    |self, state, context| {
        let cause = RevocationCause::Verbal { note: self.note };
        state.revocations(self.resident_id, state.live(), &cause, self.scope, context)
    },
    json!({
        "resident_id": "01935c2e-0000-7000-8000-000000000201",
        "note": "Said at the front desk that texts are unwelcome",
        "scope": "All"
    })
);
ends!(
    ReportNumberReassigned,
    MANAGERS,
    |self, state, context| {
        let cause = InvalidationCause::Reassigned { note: self.note };
        state.invalidations(self.resident_id, state.live(), &cause, context)
    },
    json!({
        "resident_id": "01935c2e-0000-7000-8000-000000000201",
        "note": "Somebody else answers the number since last week"
    })
);
ends!(
    RecordProviderBlock,
    PROCESS,
    |self, state, context| {
        // Also where a word had ended it: that the provider has it too takes nothing back, so it is left as it is.
        let granted = state.standing().is_some_and(|(key, ..)| key == self.number_key);
        let pending = state.pending.as_ref().is_some_and(|pending| pending.key == self.number_key);
        let numbers = if granted || pending { state.live_under(self.number_key) } else { vec![] };
        let cause = RevocationCause::Provider { code: self.code };
        state.revocations(self.resident_id, numbers, &cause, ConsentScope::All, context)
    },
    Value::Null
);
ends!(
    RecordUndeliverable,
    PROCESS,
    |self, state, context| {
        let ended = matches!(
            state.numbers.get(&self.number_key).map(|known| &known.standing),
            Some(Standing::Revoked { .. } | Standing::Invalidated { .. })
        );
        let numbers = if ended { vec![] } else { state.live_under(self.number_key) };
        let cause = InvalidationCause::Undeliverable { code: self.code };
        state.invalidations(self.resident_id, numbers, &cause, context)
    },
    Value::Null
);
