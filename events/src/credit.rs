//! What a resident has in credit at one property, from overpayments or by a manager's word.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{GrantId, InvoiceId, Money, PaymentId, PropertyId, ResidentId, text::Line};

/// Where credit came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CreditSource {
    /// More was paid than was due.
    Overpayment {
        invoice_id: InvoiceId,
        payment_id: PaymentId,
        /// The number of the invoice's overpayment.
        number: u32,
    },
    /// A manager granted it.
    Granted { grant_id: GrantId, note: Line<200> },
    /// The invoice that it was meant for did not take it.
    Returned {
        invoice_id: InvoiceId,
        /// The number of what was spent.
        number: u32,
    },
}

events! {
    /// The life of a resident's credit at one property.
    pub enum CreditEvent of "credit" {
        /// The credit grew.
        CreditAdded = 1 {
            property_id: PropertyId,
            resident_id: ResidentId,
            amount: Money,
            balance: Money,
            source: CreditSource,
        },
        /// Credit was set aside for an invoice.
        CreditSpent = 1 {
            /// Counts what was spent of this credit from 1: by it a repeat is known.
            number: u32,
            invoice_id: InvoiceId,
            /// What would have settled the invoice.
            asked: Money,
            /// What there was of it.
            amount: Money,
            balance: Money,
        },
    }
}
