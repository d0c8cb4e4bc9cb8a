//! The magic payment methods and what each of them does.

use serde_json::{Value, json};

use super::context::Context;
use super::errors::StripeError;
use super::params::Params;
use crate::store::Table;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Decline {
    pub code: &'static str,
    pub reason: &'static str,
    pub advice_code: &'static str,
    pub network_code: &'static str,
    pub message: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    Succeeds,
    Declines(Decline),
    Authenticates,
    /// Bank debits stay open until the switchboard settles them.
    Processes,
    RefundPends,
    RefundFails,
}

#[derive(Clone, Copy, Debug)]
struct Card {
    brand: &'static str,
    last4: &'static str,
    funding: &'static str,
}

struct Magic {
    card: Option<Card>,
    behaviour: Behaviour,
}

const fn card(brand: &'static str, last4: &'static str, funding: &'static str, behaviour: Behaviour) -> Magic {
    Magic { card: Some(Card { brand, last4, funding }), behaviour }
}

const fn declined(
    last4: &'static str,
    code: &'static str,
    reason: &'static str,
    advice_code: &'static str,
    network_code: &'static str,
    message: &'static str,
) -> Magic {
    card("visa", last4, "credit", Behaviour::Declines(Decline { code, reason, advice_code, network_code, message }))
}

pub(crate) const AUTHENTICATION_REQUIRED: Decline = Decline {
    code: "authentication_required",
    reason: "authentication_required",
    advice_code: "try_again_later",
    network_code: "1A",
    message: "Your card was declined. This transaction requires authentication.",
};

fn magic(name: &str) -> Option<Magic> {
    let refused = "Your card was declined.";
    Some(match name {
        "pm_card_visa" => card("visa", "4242", "credit", Behaviour::Succeeds),
        "pm_card_visa_debit" => card("visa", "5556", "debit", Behaviour::Succeeds),
        "pm_card_mastercard" => card("mastercard", "4444", "credit", Behaviour::Succeeds),
        "pm_card_mastercard_debit" => card("mastercard", "3222", "debit", Behaviour::Succeeds),
        "pm_card_mastercard_prepaid" => card("mastercard", "5100", "prepaid", Behaviour::Succeeds),
        "pm_card_amex" => card("amex", "8431", "credit", Behaviour::Succeeds),
        "pm_card_discover" => card("discover", "1117", "credit", Behaviour::Succeeds),
        "pm_card_refundFail" => card("visa", "5126", "credit", Behaviour::RefundFails),
        "pm_card_pendingRefund" => card("visa", "7726", "credit", Behaviour::RefundPends),
        "pm_card_authenticationRequired" => card("visa", "3184", "credit", Behaviour::Authenticates),
        "pm_card_chargeDeclined" | "pm_card_visa_chargeDeclined" => {
            declined("0002", "card_declined", "generic_decline", "try_again_later", "01", refused)
        }
        "pm_card_chargeDeclinedInsufficientFunds" | "pm_card_visa_chargeDeclinedInsufficientFunds" => declined(
            "9995",
            "card_declined",
            "insufficient_funds",
            "try_again_later",
            "51",
            "Your card has insufficient funds.",
        ),
        "pm_card_chargeDeclinedExpiredCard" | "pm_card_visa_chargeDeclinedExpiredCard" => {
            declined("0069", "expired_card", "expired_card", "confirm_card_data", "54", "Your card has expired.")
        }
        "pm_card_chargeDeclinedIncorrectCvc" | "pm_card_visa_chargeDeclinedIncorrectCvc" => declined(
            "0127",
            "incorrect_cvc",
            "incorrect_cvc",
            "confirm_card_data",
            "82",
            "Your card's security code is incorrect.",
        ),
        "pm_card_chargeDeclinedLostCard" | "pm_card_visa_chargeDeclinedLostCard" => {
            declined("9987", "card_declined", "lost_card", "do_not_try_again", "41", refused)
        }
        "pm_card_chargeDeclinedStolenCard" | "pm_card_visa_chargeDeclinedStolenCard" => {
            declined("9979", "card_declined", "stolen_card", "do_not_try_again", "43", refused)
        }
        "pm_card_chargeDeclinedProcessingError" | "pm_card_visa_chargeDeclinedProcessingError" => declined(
            "0119",
            "processing_error",
            "processing_error",
            "try_again_later",
            "96",
            "An error occurred while processing your card. Try again in a little bit.",
        ),
        "pm_usBankAccount_success" | "pm_usBankAccount" => Magic { card: None, behaviour: Behaviour::Processes },
        _ => return None,
    })
}

/// A payment method of the account and what it does.
#[derive(Debug)]
pub(crate) struct Method {
    pub object: Value,
    pub behaviour: Behaviour,
}

impl Method {
    pub fn id(&self) -> &str {
        self.object["id"].as_str().unwrap_or_default()
    }
}

/// Like Stripe, using a magic name makes a new payment method; an id finds one made before.
pub(crate) fn resolve(context: &mut Context<'_>, name: &str) -> Result<Method, StripeError> {
    if let Some(row) = context.get(Table::PaymentMethods, name) {
        let behaviour = row["magic"].as_str().and_then(magic).map(|magic| magic.behaviour);
        return Ok(Method { object: row["object"].clone(), behaviour: behaviour.unwrap_or(Behaviour::Succeeds) });
    }
    let Some(found) = magic(name) else {
        return Err(StripeError::missing("PaymentMethod", name, "payment_method"));
    };
    let id = context.store.new_id("pm_");
    let mut object = preview(found.card);
    object["id"] = json!(id);
    object["object"] = json!("payment_method");
    object["created"] = json!(context.now());
    object["livemode"] = json!(false);
    object["metadata"] = json!({});
    context.put_row(Table::PaymentMethods, &id, json!({"object": object, "magic": name}));
    Ok(Method { object, behaviour: found.behaviour })
}

pub(crate) fn retrieve(context: &Context<'_>, id: &str) -> Result<Value, StripeError> {
    context
        .get(Table::PaymentMethods, id)
        .map(|row| row["object"].clone())
        .ok_or_else(|| StripeError::not_found("PaymentMethod", id, "payment_method"))
}

/// What a confirmation names: a payment method, a confirmation token, or what the intent already carries.
pub(crate) fn named(context: &mut Context<'_>, intent: &Value, params: &Params) -> Result<Option<Method>, StripeError> {
    if let Some(name) = params.text("payment_method") {
        return resolve(context, name).map(Some);
    }
    if let Some(token) = params.text("confirmation_token") {
        let row = context
            .get(Table::ConfirmationTokens, token)
            .ok_or_else(|| StripeError::missing("ConfirmationToken", token, "confirmation_token"))?;
        let name = row["payment_method"].as_str().unwrap_or_default().to_owned();
        return resolve(context, &name).map(Some);
    }
    match intent["payment_method"].as_str() {
        Some(name) => resolve(context, name).map(Some),
        None => Ok(None),
    }
}

pub(crate) fn is_bank(object: &Value) -> bool {
    object["type"] == json!("us_bank_account")
}

fn preview(card: Option<Card>) -> Value {
    let mut object = json!({
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": {
                "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null,
            },
            "email": null, "name": null, "phone": null, "tax_id": null,
        },
        "customer": null,
        "customer_account": null,
    });
    if let Some(Card { brand, last4, funding }) = card {
        object["type"] = json!("card");
        object["card"] = json!({
            "brand": brand,
            "checks": {"address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass"},
            "country": "US",
            "display_brand": brand,
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": format!("sandbox{brand}{last4}"),
            "funding": funding,
            "generated_from": null,
            "last4": last4,
            "networks": {"available": [brand], "preferred": null},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": true},
            "wallet": null,
        });
    } else {
        object["type"] = json!("us_bank_account");
        object["us_bank_account"] = json!({
            "account_holder_type": "individual",
            "account_type": "checking",
            "bank_name": "STRIPE TEST BANK",
            "financial_connections_account": null,
            "fingerprint": "sandboxbank6789",
            "last4": "6789",
            "networks": {"preferred": "ach", "supported": ["ach"]},
            "routing_number": "110000000",
            "status_details": {},
        });
    }
    object
}
