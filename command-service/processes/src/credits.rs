//! Credit's way: from an overpayment to the resident's account, and from there to an invoice.

use domain::{
    credit::{AddCredit, ReturnCredit},
    invoice::ApplyCredit,
};
use events::{CreditEvent, CreditId, InvoiceEvent, InvoiceId, Recorded};

use crate::{Effect, Step, reaction::Reaction};

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
            // Payable, raised, or free again: what there is in credit goes first. What a refund or a dispute reopens is left open, so
            // that it can still be withdrawn.
            InvoiceEvent::InvoicePublished { .. }
            | InvoiceEvent::InvoiceEdited { .. }
            | InvoiceEvent::PaymentReleased { .. } => vec![Step::effect(Effect::SpendCredit { invoice_id })],
            InvoiceEvent::PaymentApplied { balance, .. } if balance.is_positive() => {
                vec![Step::effect(Effect::SpendCredit { invoice_id })]
            }
            InvoiceEvent::InvoiceDrafted { .. }
            | InvoiceEvent::InvoiceDiscarded {}
            | InvoiceEvent::InvoiceVoided { .. }
            | InvoiceEvent::InvoiceWrittenOff { .. }
            | InvoiceEvent::WriteOffUndone {}
            | InvoiceEvent::PaymentReserved { .. }
            | InvoiceEvent::PaymentApplied { .. }
            | InvoiceEvent::PaymentReversed { .. }
            | InvoiceEvent::PaymentReinstated { .. }
            | InvoiceEvent::RefundUndone { .. }
            | InvoiceEvent::CreditApplied { .. } => vec![],
        });
    }
    let credit_id = CreditId(event.stream_id);
    Ok(match event.event::<CreditEvent>()? {
        Some(CreditEvent::CreditSpent { number, invoice_id, amount, .. }) => vec![Step::command_or(
            &ApplyCredit { invoice_id, credit_id, number, amount },
            &ReturnCredit { credit_id, number },
        )?],
        Some(CreditEvent::CreditAdded { property_id, resident_id, .. }) => {
            vec![Step::effect(Effect::SpendCreditOf { property_id, resident_id })]
        }
        None => vec![],
    })
}
