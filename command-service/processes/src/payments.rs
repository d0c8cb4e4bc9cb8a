//! A payment's way: claim the invoice, submit to Stripe, book the money or give the claim back.

use chrono::TimeDelta;
use domain::{
    invoice::{
        ApplyPayment, ReinstatePayment, ReleasePayment, ReservePayment, ReverseDisputed, ReversePayment, UndoRefund,
    },
    payment::AbandonPayment,
};
use events::{InvoiceEvent, PaymentEvent, PaymentId, Recorded, invoice::ReleaseReason, payment::CancelReason};

use crate::{Effect, Step, reaction::Reaction};

/// When the first look at an open PaymentIntent is due.
pub(crate) const FIRST_LOOK: TimeDelta = TimeDelta::minutes(1);

pub fn react(event: &Recorded) -> Reaction {
    if let Some(change) = event.event::<InvoiceEvent>()? {
        return Ok(match change {
            InvoiceEvent::PaymentReserved { payment_id, .. } => {
                vec![Step::effect(Effect::SubmitPayment { payment_id })]
            }
            InvoiceEvent::InvoiceDrafted { .. }
            | InvoiceEvent::InvoiceEdited { .. }
            | InvoiceEvent::InvoiceDiscarded {}
            | InvoiceEvent::InvoicePublished { .. }
            | InvoiceEvent::InvoiceVoided { .. }
            | InvoiceEvent::PaymentReleased { .. }
            | InvoiceEvent::PaymentApplied { .. }
            | InvoiceEvent::PaymentReversed { .. }
            | InvoiceEvent::PaymentReinstated { .. }
            | InvoiceEvent::RefundUndone { .. }
            | InvoiceEvent::OverpaymentCredited { .. }
            | InvoiceEvent::CreditApplied { .. }
            | InvoiceEvent::InvoiceWrittenOff { .. }
            | InvoiceEvent::WriteOffUndone {} => vec![],
        });
    }
    let Some(change) = event.event::<PaymentEvent>()? else { return Ok(vec![]) };
    let payment_id = PaymentId(event.stream_id);
    Ok(match change {
        PaymentEvent::PaymentPreviewRequested { .. } => {
            vec![Step::effect(Effect::ReadConfirmationToken { payment_id })]
        }
        PaymentEvent::PaymentRequested { invoice_id, amount, autopay_id } => vec![Step::command_or(
            // Autopay charges the whole balance or nothing.
            &ReservePayment { invoice_id, payment_id, amount, whole: autopay_id.is_some() },
            &AbandonPayment {
                payment_id,
                reason: CancelReason::NotReserved { why: "the invoice could not be claimed".to_owned() },
            },
        )?],
        PaymentEvent::PaymentSubmitted { .. } => {
            vec![Step::Effect { effect: Effect::WatchPayment { payment_id }, after: FIRST_LOOK }]
        }
        PaymentEvent::PaymentCancellationRequested { .. } => {
            vec![Step::effect(Effect::CancelPayment { payment_id })]
        }
        PaymentEvent::PaymentSucceeded { invoice_id, amount, autopay_id, .. } => vec![
            Step::command(&ApplyPayment { invoice_id, payment_id, amount, autopay_id })?,
            Step::Effect { effect: Effect::ReadSettlement { payment_id }, after: FIRST_LOOK },
        ],
        PaymentEvent::PaymentDisputed { dispute, invoice_id, reversed, reason, returned, .. } => {
            let code = reason;
            vec![Step::command(&ReverseDisputed { invoice_id, payment_id, dispute, amount: reversed, returned, code })?]
        }
        PaymentEvent::PaymentDisputeClosed { dispute, invoice_id, won: true, reversed, .. } => {
            vec![Step::command(&ReinstatePayment { invoice_id, payment_id, dispute, amount: reversed })?]
        }
        PaymentEvent::PaymentCanceled { invoice_id, reason, reserved: true, .. } => {
            vec![Step::command(&ReleasePayment { invoice_id, payment_id, reason: released(&reason) })?]
        }
        PaymentEvent::RefundRequested { refund_id, .. } => {
            vec![Step::effect(Effect::SubmitRefund { payment_id, refund_id })]
        }
        PaymentEvent::RefundSucceeded { refund_id, invoice_id, reversed, .. } => {
            vec![Step::command(&ReversePayment { invoice_id, payment_id, refund_id, amount: reversed })?]
        }
        PaymentEvent::RefundReturned { refund_id, invoice_id, reversed, .. } => {
            vec![Step::command(&UndoRefund { invoice_id, payment_id, refund_id, amount: reversed })?]
        }
        PaymentEvent::PaymentPreviewFailed { .. }
        | PaymentEvent::PaymentSettled { .. }
        | PaymentEvent::PaymentDisputeClosed { won: false, .. }
        | PaymentEvent::PaymentQuoted { .. }
        | PaymentEvent::PaymentSubmitting { .. }
        | PaymentEvent::PaymentOutcomeUnknown { .. }
        | PaymentEvent::PaymentActionRequired {}
        | PaymentEvent::PaymentDeclined { .. }
        | PaymentEvent::PaymentProcessing { .. }
        | PaymentEvent::PaymentCanceled { .. }
        | PaymentEvent::PaymentQuarantined { .. }
        | PaymentEvent::PaymentResolved { .. }
        | PaymentEvent::RefundSubmitting { .. }
        | PaymentEvent::RefundOutcomeUnknown { .. }
        | PaymentEvent::RefundFailed { .. } => vec![],
    })
}

const fn released(reason: &CancelReason) -> ReleaseReason {
    match reason {
        CancelReason::Requested | CancelReason::AtProvider | CancelReason::Resolved => ReleaseReason::Canceled,
        CancelReason::Expired => ReleaseReason::Expired,
        CancelReason::NotReserved { .. }
        | CancelReason::Rejected { .. }
        | CancelReason::Declined { .. }
        | CancelReason::NotAuthorized { .. } => ReleaseReason::Failed,
    }
}
