//! Every payable invoice has its reminders as timers; whether they are called for is looked at when they are due.

use events::{InvoiceEvent, InvoiceId, PropertyEvent, PropertyId, Recorded};

use crate::{Effect, Step, reaction::Reaction};

pub fn react(event: &Recorded) -> Reaction {
    if let Some(PropertyEvent::BillingPolicyChanged { .. }) = event.event::<PropertyEvent>()? {
        return Ok(vec![Step::effect(Effect::MoveTimers { property_id: PropertyId(event.stream_id) })]);
    }
    let invoice_id = InvoiceId(event.stream_id);
    Ok(match event.event::<InvoiceEvent>()? {
        Some(InvoiceEvent::InvoicePublished { .. } | InvoiceEvent::InvoiceEdited { .. }) => vec![
            Step::effect(Effect::RemindBeforeDue { invoice_id }),
            Step::effect(Effect::RemindOverdue { invoice_id }),
            Step::effect(Effect::AnnounceCharge { invoice_id }),
        ],
        // What is open again is looked at again; one letter per due day all the same.
        Some(InvoiceEvent::PaymentReversed { .. } | InvoiceEvent::WriteOffUndone {}) => {
            vec![Step::effect(Effect::RemindOverdue { invoice_id })]
        }
        _ => vec![],
    })
}
