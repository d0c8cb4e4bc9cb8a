//! Brings Stripe's objects to the port's snapshots.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use events::payment::CardSummary;
use processes::ports::{AccountSnapshot, Decline, IntentSnapshot, IntentStatus, RefundSnapshot, RefundStatus};
use stripe_shared::{Account, ApiErrors, Charge, PaymentIntent, PaymentIntentStatus, Refund};
use uuid::Uuid;

use super::tag;

pub(super) fn intent(intent: PaymentIntent) -> IntentSnapshot {
    let charge = intent.latest_charge.as_ref();
    IntentSnapshot {
        card: charge.and_then(|charge| charge.as_object()).and_then(card),
        charge: charge.map(|charge| charge.id().to_string()),
        decline: intent.last_payment_error.as_deref().map(decline),
        payment: id_in(&intent.metadata, tag::PAYMENT),
        id: intent.id.to_string(),
        client_secret: intent.client_secret,
        status: match intent.status {
            PaymentIntentStatus::RequiresPaymentMethod => IntentStatus::RequiresPaymentMethod,
            PaymentIntentStatus::RequiresConfirmation => IntentStatus::RequiresConfirmation,
            PaymentIntentStatus::RequiresAction => IntentStatus::RequiresAction,
            PaymentIntentStatus::Processing => IntentStatus::Processing,
            PaymentIntentStatus::RequiresCapture => IntentStatus::RequiresCapture,
            PaymentIntentStatus::Succeeded => IntentStatus::Succeeded,
            PaymentIntentStatus::Canceled => IntentStatus::Canceled,
            // Stripe's enum is open: a later version may add to it.
            _ => IntentStatus::Unrecognized,
        },
        amount: intent.amount,
        amount_received: intent.amount_received,
        currency: intent.currency.to_string().to_ascii_uppercase(),
        created: time(intent.created),
    }
}

pub(super) fn refund(refund: Refund) -> RefundSnapshot {
    RefundSnapshot {
        id: refund.id.to_string(),
        status: match refund.status.as_deref() {
            Some("pending") => RefundStatus::Pending,
            Some("succeeded") => RefundStatus::Succeeded,
            Some("failed") => RefundStatus::Failed,
            Some("canceled") => RefundStatus::Canceled,
            Some("requires_action") => RefundStatus::RequiresAction,
            _ => RefundStatus::Unrecognized,
        },
        amount: refund.amount,
        refund: refund.metadata.as_ref().and_then(|metadata| id_in(metadata, tag::REFUND)),
        failure: refund.failure_reason,
    }
}

pub(super) fn account(account: Account) -> AccountSnapshot {
    let requirements = account.requirements;
    let some = |fields: &Option<Vec<String>>| fields.as_ref().is_some_and(|fields| !fields.is_empty());
    AccountSnapshot {
        id: account.id.to_string(),
        charges_enabled: account.charges_enabled.unwrap_or_default(),
        payouts_enabled: account.payouts_enabled.unwrap_or_default(),
        details_submitted: account.details_submitted.unwrap_or_default(),
        requirements_due: requirements.as_ref().is_some_and(|due| some(&due.currently_due) || some(&due.past_due)),
        disabled_reason: requirements.and_then(|due| due.disabled_reason).map(|reason| reason.as_str().to_owned()),
    }
}

fn card(charge: &Charge) -> Option<CardSummary> {
    let card = charge.payment_method_details.as_ref()?.card.as_ref()?;
    // Four digits or nothing: no mistake of anybody may let a whole number through.
    let last4 = card.last4.clone().filter(|last4| last4.len() == 4)?;
    Some(CardSummary {
        brand: card.brand.clone().unwrap_or_else(|| "unknown".to_owned()),
        last4,
        exp_month: u8::try_from(card.exp_month).ok()?,
        exp_year: u16::try_from(card.exp_year).ok()?,
        funding: card.funding.clone().unwrap_or_else(|| "unknown".to_owned()),
    })
}

fn decline(error: &ApiErrors) -> Decline {
    Decline {
        code: error.code.as_ref().map_or_else(|| error.type_.as_str().to_owned(), |code| code.as_str().to_owned()),
        decline_code: error.decline_code.clone(),
        advice: error.advice_code.clone(),
    }
}

fn id_in(metadata: &HashMap<String, String>, key: &str) -> Option<Uuid> {
    metadata.get(key).and_then(|id| Uuid::try_parse(id).ok())
}

fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::UNIX_EPOCH)
}
