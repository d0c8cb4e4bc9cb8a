//! One entry of the suppression list; its id follows from the organization and the address's keyed hash.

use events::{
    EmailAddress, MessageId, OrganizationId, Purpose, ResidentId, Role, Sealed, SuppressionEvent, SuppressionId,
    suppression::SuppressionCause, text::Line,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Aggregate, Command, Context, Decision, payment::PROCESS};

/// Stops writing to an address.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuppressAddress {
    pub suppression_id: SuppressionId,
    pub resident_id: ResidentId,
    pub message_id: MessageId,
    pub address: EmailAddress,
    pub cause: SuppressionCause,
}

/// Allows an address again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LiftSuppression {
    pub suppression_id: SuppressionId,
    pub note: Line<200>,
}

refusals! {
    pub enum SuppressionRefusal {
        NotFound = Missing, "there is no such entry in the suppression list";
    }
}

/// Whether the address is suppressed.
#[derive(Debug, Default)]
pub struct Suppression {
    pub known: bool,
    pub active: bool,
}

impl Aggregate for Suppression {
    type Event = SuppressionEvent;
    type Refusal = SuppressionRefusal;

    fn evolve(&mut self, event: &SuppressionEvent) {
        match event {
            SuppressionEvent::AddressSuppressed { .. } => {
                self.known = true;
                self.active = true;
            }
            SuppressionEvent::SuppressionLifted { .. } => self.active = false,
        }
    }
}

impl Command for SuppressAddress {
    type Aggregate = Suppression;
    const NAME: &'static str = "SuppressAddress";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.suppression_id.0
    }

    fn decide(self, state: &Suppression, _: &Context) -> Decision<Suppression> {
        Ok(if state.active {
            vec![]
        } else {
            vec![SuppressionEvent::AddressSuppressed {
                address: Sealed::new(self.resident_id.0, Purpose::Contact, self.address),
                resident_id: self.resident_id,
                message_id: self.message_id,
                cause: self.cause,
            }]
        })
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for LiftSuppression {
    type Aggregate = Suppression;
    const NAME: &'static str = "LiftSuppression";
    const ROLES: &'static [Role] = &[Role::OrganizationManager];

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.suppression_id.0
    }

    fn decide(self, state: &Suppression, _: &Context) -> Decision<Suppression> {
        if !state.known {
            return Err(SuppressionRefusal::NotFound);
        }
        Ok(if state.active { vec![SuppressionEvent::SuppressionLifted { note: self.note }] } else { vec![] })
    }

    fn example() -> Value {
        json!({ "suppression_id": "01935c2e-0000-7000-8000-000000000701", "note": "Mailbox works again, resident called" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fixtures::RESIDENT, from, given, state};

    const ENTRY: SuppressionId = SuppressionId(Uuid::from_u128(0x90));
    const MESSAGE: MessageId = MessageId(Uuid::from_u128(0x80));

    fn suppress() -> SuppressAddress {
        SuppressAddress {
            suppression_id: ENTRY,
            resident_id: RESIDENT,
            message_id: MESSAGE,
            address: from("ana@example.com"),
            cause: SuppressionCause::HardBounce,
        }
    }

    fn suppressed() -> SuppressionEvent {
        SuppressionEvent::AddressSuppressed {
            address: Sealed::new(RESIDENT.0, Purpose::Contact, from("ana@example.com")),
            resident_id: RESIDENT,
            message_id: MESSAGE,
            cause: SuppressionCause::HardBounce,
        }
    }

    fn lifted() -> SuppressionEvent {
        SuppressionEvent::SuppressionLifted { note: from("mailbox works") }
    }

    #[test]
    fn an_address_is_suppressed_until_somebody_lifts_it() {
        given([]).accepts(suppress(), [suppressed()]);
        given([suppressed(), lifted()]).accepts(suppress(), [suppressed()]);
        let lift = LiftSuppression { suppression_id: ENTRY, note: from("mailbox works") };
        given([suppressed()]).accepts(lift.clone(), [lifted()]);
        given([]).refuses(lift, SuppressionRefusal::NotFound);
        assert!(state::<Suppression>([suppressed()]).active);
        assert!(!state::<Suppression>([suppressed(), lifted()]).active);
    }
}
