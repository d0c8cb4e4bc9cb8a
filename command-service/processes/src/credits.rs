//! Credit's way: from an overpayment to the resident's account, and from there to an invoice.

use domain::{
    credit::{AddCredit, ReturnCredit},
    invoice::ApplyCredit,
};
use events::{CreditEvent, CreditId, InvoiceEvent, InvoiceId, Recorded};

use crate::{Step, reaction::Reaction};

pub fn react(event: &Recorded) -> Reaction {
    if let Some(change) = event.event::<InvoiceEvent>()? {
        let invoice_id = InvoiceId(event.stream_id);
        return Ok(match change {
            InvoiceEvent::OverpaymentCredited {
                credit_id,
                resident_id,
                property_id,
                payment_id,
                number,
                amount,
                ..
            } => {
                vec![Step::command(&AddCredit {
                    credit_id,
                    property_id,
                    resident_id,
                    invoice_id,
                    payment_id,
                    number,
                    amount,
                })?]
            }
            _ => vec![],
        });
    }
    let credit_id = CreditId(event.stream_id);
    Ok(match event.event::<CreditEvent>()? {
        Some(CreditEvent::CreditSpent { number, invoice_id, amount, .. }) => vec![Step::command_or(
            &ApplyCredit { invoice_id, credit_id, number, amount },
            &ReturnCredit { credit_id, number },
        )?],
        Some(CreditEvent::CreditAdded { .. }) | None => vec![],
    })
}
