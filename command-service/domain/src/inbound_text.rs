//! A text from a number that nobody has: kept with the installation, out of every organization's sight.

use chrono::{DateTime, Utc};
use events::{InboundId, InboundTextEvent, OrganizationId, Phone, Purpose, Role, Sealed, sms_consent::Reading};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{Aggregate, Command, Context, Decision, keywords, payment::PROCESS};

/// The owner of what belongs to no tenant.
pub const INSTALLATION: OrganizationId = OrganizationId(Uuid::nil());

/// Keeps a text from an unknown number.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepUnknownText {
    pub inbound_id: InboundId,
    pub number: Phone,
    pub body: String,
    pub provider_id: String,
    pub received_at: DateTime<Utc>,
}

refusals! {
    pub enum InboundTextRefusal {
        NotTheInstallations = Forbidden, "texts from unknown numbers belong to no organization";
    }
}

/// Whether it is kept.
#[derive(Debug, Default)]
pub struct InboundText {
    kept: bool,
}

impl Aggregate for InboundText {
    type Event = InboundTextEvent;
    type Refusal = InboundTextRefusal;

    fn evolve(&mut self, event: &InboundTextEvent) {
        match event {
            InboundTextEvent::UnknownSenderReceived { .. } => self.kept = true,
        }
    }
}

impl Command for KeepUnknownText {
    type Aggregate = InboundText;
    const NAME: &'static str = "KeepUnknownText";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.inbound_id.0
    }

    fn decide(self, state: &InboundText, context: &Context) -> Decision<InboundText> {
        if context.organization != INSTALLATION {
            return Err(InboundTextRefusal::NotTheInstallations);
        }
        let sealed = |value| Sealed::new(self.inbound_id.0, Purpose::Message, value);
        let reading: Reading = keywords::read(&self.body).reading;
        Ok(if state.kept {
            vec![]
        } else {
            vec![InboundTextEvent::UnknownSenderReceived {
                number: Sealed::new(self.inbound_id.0, Purpose::Message, self.number),
                body: sealed(self.body),
                reading,
                provider_id: self.provider_id,
                received_at: self.received_at,
            }]
        })
    }

    fn example() -> Value {
        Value::Null
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{from, noon, state};

    fn keep() -> KeepUnknownText {
        KeepUnknownText {
            inbound_id: InboundId(Uuid::from_u128(7)),
            number: from("+13055550199"),
            body: "STOP".into(),
            provider_id: "SM9".into(),
            received_at: noon(),
        }
    }

    #[test]
    fn a_text_from_nobody_is_kept_once_and_with_no_tenant() {
        let tenant = crate::testing::context(crate::Facts::default());
        let refused = keep().decide(&InboundText::default(), &tenant);
        assert_eq!(refused, Err(InboundTextRefusal::NotTheInstallations));
        let own = Context { organization: INSTALLATION, ..tenant };
        let kept = keep().decide(&InboundText::default(), &own).unwrap_or_default();
        let [InboundTextEvent::UnknownSenderReceived { reading, .. }] = kept.as_slice() else { panic!("{kept:?}") };
        assert_eq!(*reading, Reading::Stop);
        assert_eq!(keep().decide(&state(kept), &own), Ok(vec![]));
    }
}
