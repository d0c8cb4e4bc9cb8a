//! Brings what Stripe keeps of a way to pay (setup intents, payment methods, tokens, mandates) to the port's snapshots.

use events::payment::{BankSummary, CardSummary, PaymentMethodKind};
use miniserde::Deserialize;
use processes::ports::{MandateSnapshot, MethodSnapshot, SetupSnapshot, SetupState, TokenSnapshot};
use stripe_shared::{
    Mandate, MandateStatus, PaymentMethod, PaymentMethodCard, PaymentMethodDetailsUsBankAccount,
    PaymentMethodUsBankAccount, SetupIntent, SetupIntentStatus,
};

use super::{
    snapshot::{decline, id_in, time},
    tag,
};

/// A confirmation token, as far as it is of interest: async-stripe does not know it.
#[derive(Deserialize)]
pub(super) struct Token {
    id: String,
    expires_at: Option<i64>,
    payment_intent: Option<String>,
    setup_intent: Option<String>,
    payment_method_preview: Option<Preview>,
}

#[derive(Deserialize)]
struct Preview {
    #[serde(rename = "type")]
    kind: String,
    card: Option<PaymentMethodCard>,
    us_bank_account: Option<PaymentMethodUsBankAccount>,
}

pub(super) fn kind(word: &str) -> Option<PaymentMethodKind> {
    match word {
        "card" => Some(PaymentMethodKind::Card),
        "us_bank_account" => Some(PaymentMethodKind::BankDebit),
        _ => None,
    }
}

/// Four digits or nothing: no mistake of anybody may let a whole number through.
fn four(digits: &str) -> Option<String> {
    (digits.len() == 4).then(|| digits.to_owned())
}

fn card(card: &PaymentMethodCard) -> Option<CardSummary> {
    Some(CardSummary {
        brand: card.brand.clone(),
        last4: four(&card.last4)?,
        exp_month: u8::try_from(card.exp_month).ok()?,
        exp_year: u16::try_from(card.exp_year).ok()?,
        funding: card.funding.clone(),
    })
}

fn bank(bank: &PaymentMethodUsBankAccount) -> Option<BankSummary> {
    Some(BankSummary {
        bank_name: bank.bank_name.clone(),
        last4: four(bank.last4.as_deref()?)?,
        account_type: bank.account_type.as_ref().map(|kind| kind.as_str().to_owned()),
    })
}

pub(super) fn bank_of_charge(bank: &PaymentMethodDetailsUsBankAccount) -> Option<BankSummary> {
    Some(BankSummary {
        bank_name: bank.bank_name.clone(),
        last4: four(bank.last4.as_deref()?)?,
        account_type: bank.account_type.as_ref().map(|kind| kind.as_str().to_owned()),
    })
}

pub(super) fn method(method: PaymentMethod) -> MethodSnapshot {
    MethodSnapshot {
        id: method.id.to_string(),
        kind: kind(method.type_.as_str()),
        customer: method.customer.map(|customer| customer.id().to_string()),
        card: method.card.as_ref().and_then(card),
        bank: method.us_bank_account.as_ref().and_then(bank),
    }
}

pub(super) fn setup(intent: SetupIntent) -> SetupSnapshot {
    let deposits = intent.next_action.as_ref().and_then(|next| next.verify_with_microdeposits.as_ref());
    SetupSnapshot {
        id: intent.id.to_string(),
        client_secret: intent.client_secret,
        state: match intent.status {
            SetupIntentStatus::RequiresPaymentMethod => SetupState::AwaitingMethod,
            SetupIntentStatus::RequiresAction if deposits.is_some() => SetupState::MicrodepositsPending,
            SetupIntentStatus::RequiresAction | SetupIntentStatus::RequiresConfirmation => SetupState::ActionRequired,
            SetupIntentStatus::Processing => SetupState::Processing,
            SetupIntentStatus::Succeeded => SetupState::Succeeded,
            SetupIntentStatus::Canceled => SetupState::Canceled,
            // Stripe's enum is open: a later version may add to it.
            _ => SetupState::Unrecognized,
        },
        customer: intent.customer.map(|customer| customer.id().to_string()),
        mandate: intent.mandate.map(|mandate| mandate.id().to_string()),
        verification_url: deposits.map(|deposits| deposits.hosted_verification_url.clone()),
        failure: intent.last_setup_error.as_deref().map(decline),
        setup: intent.metadata.as_ref().and_then(|metadata| id_in(metadata, tag::SETUP)),
        created: time(intent.created),
        method: intent.payment_method.map(|kept| match kept.as_object() {
            Some(kept) => method(kept.clone()),
            None => MethodSnapshot { id: kept.id().to_string(), kind: None, customer: None, card: None, bank: None },
        }),
    }
}

pub(super) fn token(token: Token) -> TokenSnapshot {
    let preview = token.payment_method_preview.as_ref();
    let shown = preview.and_then(|preview| preview.card.as_ref());
    TokenSnapshot {
        kind: preview.and_then(|preview| kind(&preview.kind)),
        card: shown.and_then(card),
        card_country: shown.and_then(|card| card.country.clone()),
        bank: preview.and_then(|preview| bank(preview.us_bank_account.as_ref()?)),
        used: token.payment_intent.is_some() || token.setup_intent.is_some(),
        expires: token.expires_at.map(time),
        id: token.id,
    }
}

pub(super) fn mandate(mandate: &Mandate) -> MandateSnapshot {
    MandateSnapshot {
        id: mandate.id.to_string(),
        method: mandate.payment_method.id().to_string(),
        // A pending one becomes active by itself.
        active: mandate.status != MandateStatus::Inactive,
    }
}
