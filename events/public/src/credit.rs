//! What is told of a resident's credit at a property.

use events::{CreditEvent, PropertyId, credit as stored};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::{Tell, values::Money};

/// Where credit came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum CreditSource {
    /// More was paid than was due.
    Overpayment,
    /// A manager granted it.
    Granted,
    /// The invoice that it was meant for did not take it.
    Returned,
}

public! {
    /// The life of a resident's credit at one property.
    pub enum CreditFact {
        /// The credit grew.
        Added = "credit.added" v 1 from "CreditAdded" when "After an overpayment, by a manager's word, or when it comes back." {
            credit_id: Uuid,
            property_id: Uuid,
            resident_id: Uuid,
            amount: Money,
            /// What there is now.
            balance: Money,
            source: CreditSource,
            /// The invoice that it comes from, if it does.
            #[serde(skip_serializing_if = "Option::is_none")]
            invoice_id: Option<Uuid>,
        },
        /// Credit was set aside for an invoice.
        Spent = "credit.spent" v 1 from "CreditSpent" when "When an invoice can use it." {
            credit_id: Uuid,
            invoice_id: Uuid,
            amount: Money,
            /// What is left.
            balance: Money,
        },
    }
}

impl Tell for CreditFact {
    type Event = CreditEvent;

    fn tell(credit_id: Uuid, event: CreditEvent) -> Option<Self> {
        Some(match event {
            CreditEvent::CreditAdded { property_id, resident_id, amount, balance, source } => {
                let (source, invoice_id) = match source {
                    stored::CreditSource::Overpayment { invoice_id, payment_id: _, number: _ } => {
                        (CreditSource::Overpayment, Some(invoice_id.0))
                    }
                    stored::CreditSource::Granted { grant_id: _, note: _ } => (CreditSource::Granted, None),
                    stored::CreditSource::Returned { invoice_id, number: _ } => {
                        (CreditSource::Returned, Some(invoice_id.0))
                    }
                };
                Self::Added {
                    credit_id,
                    property_id: property_id.0,
                    resident_id: resident_id.0,
                    amount: amount.into(),
                    balance: balance.into(),
                    source,
                    invoice_id,
                }
            }
            CreditEvent::CreditSpent { number: _, invoice_id, asked: _, amount, balance } => {
                Self::Spent { credit_id, invoice_id: invoice_id.0, amount: amount.into(), balance: balance.into() }
            }
        })
    }

    fn property(event: &CreditEvent) -> Option<PropertyId> {
        match event {
            CreditEvent::CreditAdded { property_id, .. } => Some(*property_id),
            CreditEvent::CreditSpent { .. } => None,
        }
    }
}
