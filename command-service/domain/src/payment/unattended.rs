//! A payment that nobody is there for: priced and begun in one step.

use events::{AutopayId, InvoiceId, Money, OrganizationId, PaymentEvent, PaymentId, Role, payment::PaymentMethodKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    PROCESS, Payment, PaymentRefusal,
    quote::{Asked, Method, invoice_to_account, payee, priced, refused},
};
use crate::{Aggregate, Command, Context, Decision, Facts, Need, Scope};

/// Begins a payment by autopay, at today's price.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartAutopayPayment {
    pub payment_id: PaymentId,
    pub autopay_id: AutopayId,
    pub invoice_id: InvoiceId,
    /// The whole balance.
    pub amount: Money,
    pub kind: PaymentMethodKind,
    /// `credit`, `debit`, `prepaid` or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funding: Option<String>,
}

impl Command for StartAutopayPayment {
    type Aggregate = Payment;
    const NAME: &'static str = "StartAutopayPayment";
    const ROLES: &'static [Role] = PROCESS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.payment_id.0
    }

    fn scope_with(&self, state: &Payment, facts: &Facts) -> Scope {
        facts.invoice.as_ref().map_or_else(|| state.scope(), Aggregate::scope)
    }

    fn needs(&self, _: &Payment, facts: &Facts) -> Vec<Need> {
        invoice_to_account(self.invoice_id, facts)
    }

    /// The price is agreed to and the payment begun in one step: nobody is there to look at it.
    fn decide(self, state: &Payment, context: &Context) -> Decision<Payment> {
        let Self { autopay_id, invoice_id, amount, kind, funding, .. } = self;
        if let Some((known_invoice, known_amount)) = state.asked() {
            let same = state.autopay() == Some(autopay_id) && known_invoice == invoice_id && known_amount == amount;
            return if same { Ok(vec![]) } else { Err(PaymentRefusal::QuotedOtherwise) };
        }
        let invoice = context.facts.invoice.as_ref().ok_or(PaymentRefusal::NoSuchInvoice)?;
        let terms = invoice.terms.ok_or(PaymentRefusal::NoSuchInvoice)?;
        invoice.admits_whole(amount).map_err(refused)?;
        let (property, account) = payee(&context.facts)?;
        let asked = Asked { invoice: invoice_id, property: terms.property, resident: terms.resident, account, amount };
        let method = Method { kind, funding, confirmation_token: None, autopay_id: Some(autopay_id) };
        Ok(vec![
            priced(&asked, method, property, context)?,
            PaymentEvent::PaymentRequested { invoice_id, amount, autopay_id: Some(autopay_id) },
        ])
    }

    fn example() -> Value {
        Value::Null
    }
}
