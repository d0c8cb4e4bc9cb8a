//! What was shown to Stripe's form, looked at: the price follows from it.

use events::{
    OrganizationId, PaymentEvent, PaymentId, Role,
    payment::{BankSummary, CardSummary, PaymentMethodKind},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    PROCESS, Payment, PaymentRefusal, Phase,
    quote::{Asked, Method, priced},
};
use crate::{Command, Context, Decision, Facts, Need};

/// Records what Stripe says of the method that was shown, and so the price.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordPreview {
    pub payment_id: PaymentId,
    pub kind: PaymentMethodKind,
    /// `credit`, `debit`, `prepaid` or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<CardSummary>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<BankSummary>,
}

/// Records that what was shown cannot be paid with.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailPreview {
    pub payment_id: PaymentId,
    pub code: String,
}

impl Command for RecordPreview {
    type Aggregate = Payment;
    const NAME: &'static str = "RecordPreview";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    fn needs(&self, state: &Payment, _: &Facts) -> Vec<Need> {
        state.preview.iter().map(|preview| Need::Property(preview.property)).collect()
    }

    fn decide(self, state: &Payment, context: &Context) -> Decision<Payment> {
        let preview = state.preview.ok_or(PaymentRefusal::NotFound)?;
        if state.phase != Phase::Previewing {
            return Ok(vec![]);
        }
        let property = context.facts.property.as_ref().and_then(|property| property.details.as_ref());
        let property = property.ok_or(PaymentRefusal::NoSuchInvoice)?;
        let asked = Asked {
            invoice: preview.invoice,
            property: preview.property,
            resident: preview.resident,
            account: preview.account,
            amount: preview.amount,
        };
        let method = Method {
            kind: self.kind,
            funding: self.funding.or(self.card.map(|card| card.funding)),
            confirmation_token: state.confirmation_token.clone(),
            autopay_id: None,
        };
        Ok(vec![match priced(&asked, method, property, context) {
            // Nobody waits for the answer of this command: the resident reads it from the payment.
            Err(PaymentRefusal::TooMuch) => PaymentEvent::PaymentPreviewFailed { code: "amount_too_large".to_owned() },
            answer => answer?,
        }])
    }

    fn example() -> Value {
        Value::Null
    }
}

impl Command for FailPreview {
    type Aggregate = Payment;
    const NAME: &'static str = "FailPreview";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    fn decide(self, state: &Payment, _: &Context) -> Decision<Payment> {
        state.preview.ok_or(PaymentRefusal::NotFound)?;
        Ok(if state.phase == Phase::Previewing {
            vec![PaymentEvent::PaymentPreviewFailed { code: self.code }]
        } else {
            vec![]
        })
    }

    fn example() -> Value {
        Value::Null
    }
}
