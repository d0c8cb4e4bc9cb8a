//! Brings Stripe's objects to the port's snapshots.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use events::payment::CardSummary;
use processes::ports::{
    AccountSnapshot, ChargeFailure, Decline, IntentSnapshot, IntentStatus, RefundSnapshot, RefundStatus,
};
use stripe_shared::{Account, ApiErrors, Charge, ChargeStatus, PaymentIntent, PaymentIntentStatus, Refund};
use uuid::Uuid;

use super::{books, kept, tag};

pub(super) fn intent(intent: PaymentIntent) -> IntentSnapshot {
    let error = intent.last_payment_error.as_deref();
    let charge = intent.latest_charge.as_ref().and_then(|charge| charge.as_object());
    let details = charge.and_then(|charge| charge.payment_method_details.as_ref());
    // A declined intent has let go of its method; the error still names it.
    let kept = intent.payment_method.as_ref().and_then(|method| method.as_object());
    let method = kept.or(error.and_then(|error| error.payment_method.as_ref())).cloned().map(kept::method);
    let only_type = match intent.payment_method_types.as_slice() {
        [only] => kept::kind(only),
        _ => None,
    };
    let (kind, card_before, bank_before) =
        method.as_ref().map_or((None, None, None), |method| (method.kind, method.card.clone(), method.bank.clone()));
    IntentSnapshot {
        method: intent
            .payment_method
            .as_ref()
            .map(|method| method.id().to_string())
            .or(method.map(|method| method.id))
            .or_else(|| charge.and_then(|charge| charge.payment_method.clone())),
        kind: details.and_then(|details| kept::kind(&details.type_)).or(kind).or(only_type),
        card: charge.and_then(card).or(card_before),
        bank: details.and_then(|details| kept::bank_of_charge(details.us_bank_account.as_ref()?)).or(bank_before),
        failure: failure(charge, error),
        booked: charge
            .and_then(|charge| charge.balance_transaction.as_ref()?.as_object())
            .map(|moved| books::item(moved.clone(), None)),
        charge: intent.latest_charge.as_ref().map(|charge| charge.id().to_string()),
        decline: error.map(decline),
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

/// The charge's own words where it is at hand, else the error's.
fn failure(charge: Option<&Charge>, error: Option<&ApiErrors>) -> Option<ChargeFailure> {
    let outcome = charge.and_then(|charge| charge.outcome.as_ref());
    let failed = charge.filter(|charge| charge.status == ChargeStatus::Failed);
    if let Some(charge) = failed {
        let network = outcome.and_then(|outcome| outcome.network_decline_code.clone());
        return Some(ChargeFailure {
            code: charge.failure_code.clone(),
            network: network.or_else(|| error?.network_decline_code.clone()).filter(|code| !code.is_empty()),
        });
    }
    if charge.is_some() {
        return None;
    }
    error.map(|error| ChargeFailure {
        code: error.code.as_ref().map(|code| code.as_str().to_owned()),
        network: error.network_decline_code.clone().filter(|code| !code.is_empty()),
    })
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

pub(super) fn decline(error: &ApiErrors) -> Decline {
    Decline {
        code: error.code.as_ref().map_or_else(|| error.type_.as_str().to_owned(), |code| code.as_str().to_owned()),
        decline_code: error.decline_code.clone(),
        advice: error.advice_code.clone(),
    }
}

pub(super) fn id_in(metadata: &HashMap<String, String>, key: &str) -> Option<Uuid> {
    metadata.get(key).and_then(|id| Uuid::try_parse(id).ok())
}

pub(super) fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::UNIX_EPOCH)
}
