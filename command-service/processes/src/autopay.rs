//! Autopay's way: set a method up, charge what falls due, try again, go on after a pause.

use chrono::TimeDelta;
use domain::autopay::{FailCharge, ReturnCharge, SettleCharge, WithdrawCharge};
use events::{
    AutopayEvent, AutopayId, InvoiceEvent, InvoiceId, PaymentEvent, PaymentId, Recorded, ResidentEvent, ResidentId,
    payment::CancelReason, resident::ResidentStatus,
};

use crate::{Effect, Step, payments::FIRST_LOOK, reaction::Reaction};

/// Between the charges of invoices that waited.
const BETWEEN: TimeDelta = TimeDelta::seconds(5);

pub fn react(event: &Recorded) -> Reaction {
    if let Some(change) = event.event::<InvoiceEvent>()? {
        return Ok(of_invoice(&change, InvoiceId(event.stream_id)));
    }
    if let Some(change) = event.event::<PaymentEvent>()? {
        return of_payment(change, PaymentId(event.stream_id));
    }
    if let Some(change) = event.event::<ResidentEvent>()? {
        return Ok(of_resident(&change, ResidentId(event.stream_id)));
    }
    let Some(change) = event.event::<AutopayEvent>()? else { return Ok(vec![]) };
    let autopay_id = AutopayId(event.stream_id);
    Ok(match change {
        AutopayEvent::AutopaySetupRequested { setup_id, .. } => {
            vec![Step::effect(Effect::SetUpAutopay { autopay_id, setup_id })]
        }
        AutopayEvent::AutopaySetupSubmitted { setup_id, .. } => {
            vec![Step::Effect { effect: Effect::WatchSetup { autopay_id, setup_id }, after: FIRST_LOOK }]
        }
        AutopayEvent::AutopayActivated { replaces: Some(payment_method), .. }
        | AutopayEvent::AutopayCancelled { payment_method: Some(payment_method), .. } => {
            vec![Step::effect(Effect::DetachMethod { autopay_id, payment_method })]
        }
        AutopayEvent::ChargeApproved { invoice_id, .. } => {
            vec![Step::effect(Effect::ChargeWhenDue { invoice_id })]
        }
        AutopayEvent::ChargeFailed { invoice_id, retry: Some(retry), .. } => {
            let effect = Effect::RetryCharge { autopay_id, invoice_id, attempt: retry.attempt };
            vec![Step::Effect { effect, after: retry.at - event.recorded_at }]
        }
        // In the order of their due days, each when the one before has probably been answered: should it be declined, the rest waits.
        AutopayEvent::AutopayResumed { waiting, .. } => waiting
            .into_iter()
            .zip(0..)
            .map(|(invoice_id, place)| Step::Effect {
                effect: Effect::ChargeWhenDue { invoice_id },
                after: BETWEEN * place,
            })
            .collect(),
        AutopayEvent::AutopaySetupActionRequired { .. }
        | AutopayEvent::AutopaySetupFailed { .. }
        | AutopayEvent::AutopayActivated { replaces: None, .. }
        | AutopayEvent::AutopayMethodRefreshed { .. }
        | AutopayEvent::AutopayCapChanged { .. }
        | AutopayEvent::ChargeHeld { .. }
        | AutopayEvent::ChargeDeferred { .. }
        | AutopayEvent::ChargeAuthorized { .. }
        | AutopayEvent::ChargeSucceeded { .. }
        | AutopayEvent::ChargeFailed { retry: None, .. }
        | AutopayEvent::ChargeWithdrawn { .. }
        | AutopayEvent::AutopayPaused { .. }
        | AutopayEvent::AutopayCancelled { payment_method: None, .. } => vec![],
    })
}

/// Whoever left gave no word for charges from then on. Whether they left the property is looked at when it is ended.
fn of_resident(change: &ResidentEvent, resident_id: ResidentId) -> Vec<Step> {
    match change {
        ResidentEvent::ResidentMovedOut { .. }
        | ResidentEvent::ResidentErased { .. }
        | ResidentEvent::ResidentStatusChanged { status: ResidentStatus::Inactive } => {
            vec![Step::effect(Effect::EndAutopay { resident_id })]
        }
        ResidentEvent::ResidentStatusChanged { status: ResidentStatus::Active }
        | ResidentEvent::ResidentRegistered { .. }
        | ResidentEvent::ResidentRenamed { .. }
        | ResidentEvent::ResidentEmailChanged { .. }
        | ResidentEvent::ResidentPhoneChanged { .. }
        | ResidentEvent::ResidentLanguageChanged { .. }
        | ResidentEvent::ResidentMovedIn { .. } => vec![],
    }
}

/// Every payable invoice has a timer, whether autopay is on or not: that is looked at when it is due.
fn of_invoice(change: &InvoiceEvent, invoice_id: InvoiceId) -> Vec<Step> {
    match change {
        InvoiceEvent::InvoicePublished { .. } | InvoiceEvent::InvoiceEdited { .. } => {
            vec![Step::effect(Effect::ChargeWhenDue { invoice_id })]
        }
        InvoiceEvent::InvoiceVoided { .. } | InvoiceEvent::InvoiceWrittenOff { .. } => {
            vec![Step::effect(Effect::ReleaseFromAutopay { invoice_id })]
        }
        InvoiceEvent::PaymentApplied { balance, .. } | InvoiceEvent::CreditApplied { balance, .. }
            if !balance.is_positive() =>
        {
            vec![Step::effect(Effect::ReleaseFromAutopay { invoice_id })]
        }
        InvoiceEvent::InvoiceDrafted { .. }
        | InvoiceEvent::InvoiceDiscarded {}
        | InvoiceEvent::PaymentReserved { .. }
        | InvoiceEvent::PaymentReleased { .. }
        | InvoiceEvent::PaymentApplied { .. }
        | InvoiceEvent::PaymentReversed { .. }
        | InvoiceEvent::PaymentReinstated { .. }
        | InvoiceEvent::RefundUndone { .. }
        | InvoiceEvent::OverpaymentCredited { .. }
        | InvoiceEvent::CreditApplied { .. }
        | InvoiceEvent::WriteOffUndone {} => vec![],
    }
}

fn of_payment(change: PaymentEvent, payment_id: PaymentId) -> Reaction {
    Ok(match change {
        PaymentEvent::PaymentSucceeded { autopay_id: Some(autopay_id), .. } => {
            vec![Step::command(&SettleCharge { autopay_id, payment_id })?]
        }
        PaymentEvent::PaymentDeclined { autopay_id: Some(autopay_id), code, decline_code, advice, .. } => {
            vec![Step::command(&FailCharge { autopay_id, payment_id, code, decline_code, advice })?]
        }
        PaymentEvent::PaymentDisputed { autopay_id: Some(autopay_id), returned: true, reason, .. } => {
            vec![Step::command(&ReturnCharge { autopay_id, payment_id, code: reason })?]
        }
        PaymentEvent::PaymentCanceled { autopay_id: Some(autopay_id), reason, .. }
            if !matches!(reason, CancelReason::Declined { .. }) =>
        {
            vec![Step::command(&WithdrawCharge { autopay_id, payment_id })?]
        }
        _ => vec![],
    })
}
