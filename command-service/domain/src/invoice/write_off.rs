//! What is not expected any more.

use events::{InvoiceEvent, InvoiceId, OrganizationId, Role, text::Title};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Invoice, InvoiceRefusal, MANAGERS};
use crate::{Command, Context, Decision};

/// Gives up what is left of an overdue invoice. Money that comes in later undoes it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteOffInvoice {
    pub invoice_id: InvoiceId,
    pub reason: Title,
}

impl Command for WriteOffInvoice {
    type Aggregate = Invoice;
    const NAME: &'static str = "WriteOffInvoice";
    const ROLES: &'static [Role] = MANAGERS;

    fn stream(&self, _: OrganizationId) -> Uuid {
        self.invoice_id.0
    }

    fn decide(self, state: &Invoice, context: &Context) -> Decision<Invoice> {
        let (terms, known) = state.payable()?;
        if state.written_off.is_some() {
            return Ok(vec![]);
        }
        if state.claim.is_some() {
            return Err(InvoiceRefusal::PaymentInFlight);
        }
        let amount = state.balance()?;
        if !amount.is_positive() {
            return Err(InvoiceRefusal::AlreadyPaid);
        }
        // The due day itself is still a day to pay.
        if context.today(terms.time_zone) <= known.due_on {
            return Err(InvoiceRefusal::NotOverdue { due_on: known.due_on });
        }
        Ok(vec![InvoiceEvent::InvoiceWrittenOff { amount, reason: self.reason }])
    }

    fn example() -> Value {
        json!({ "invoice_id": "01935c2e-0000-7000-8000-000000000301", "reason": "Moved away without an address" })
    }
}
