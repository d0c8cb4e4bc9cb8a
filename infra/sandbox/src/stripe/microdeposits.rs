//! Small deposits that prove a bank account: announced, told rightly or wrongly, given up.

use serde_json::{Value, json};

use super::context::Context;
use super::errors::StripeError;
use super::magic::Decline;
use super::params::Params;
use super::payment_methods;
use super::setup_intents::{admitted, fail, succeed, unexpected, visible};
use crate::store::Table;

const ARRIVING: i64 = 24 * 60 * 60;
const TRIES: i64 = 10;

pub(crate) const FAILED: Decline = Decline {
    code: "payment_method_microdeposit_failed",
    reason: None,
    advice_code: None,
    network_code: "",
    message: "Microdeposit transfers failed. Please check the account, institution and transit numbers provided.",
};
const EXCEEDED: Decline = Decline {
    code: "payment_method_microdeposit_verification_attempts_exceeded",
    message: "You have exceeded the number of allowed verification attempts.",
    ..FAILED
};
const TIMED_OUT: Decline = Decline {
    code: "payment_method_microdeposit_verification_timeout",
    message: "Payment method should be verified with microdeposits within the required period.",
    ..FAILED
};

/// The next action of an intent whose account has still to be proven.
pub(crate) fn announce(context: &Context<'_>, intent: &Value) -> Value {
    let (id, secret) =
        (intent["id"].as_str().unwrap_or_default(), intent["client_secret"].as_str().unwrap_or_default());
    json!({
        "type": "verify_with_microdeposits",
        "verify_with_microdeposits": {
            "arrival_date": context.now() + ARRIVING,
            "hosted_verification_url": format!("{}/pages/microdeposits/{id}?client_secret={secret}", context.base_url),
            "microdeposit_type": "amounts",
        },
    })
}

/// 32 and 45 (or `SM11AA`) are right; 10 and 11 (`SM33CC`) exceed the tries, 40 and 41 (`SM44DD`) come too late.
pub(crate) fn verify(context: &mut Context<'_>, id: &str, params: &Params) -> Result<Value, StripeError> {
    params.allow(&["_stripe_account", "amounts", "client_secret", "descriptor_code", "key"])?;
    let intent = admitted(context, id, params)?;
    if intent["next_action"]["type"] != json!("verify_with_microdeposits") {
        return Err(unexpected(
            &intent,
            "You cannot verify microdeposits of this SetupIntent because it has a status of",
        ));
    }
    let mut told: Vec<i64> = params.0["amounts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|amount| amount.as_str()?.parse().ok())
        .collect();
    told.sort_unstable();
    let code = params.text("descriptor_code");
    if told.len() != 2 && code.is_none() {
        return Err(StripeError::invalid("You must pass in exactly two amounts or a descriptor code.").param("amounts"));
    }
    let name = intent["payment_method"].as_str().unwrap_or_default().to_owned();
    let method = payment_methods::resolve(context, &name)?;
    match (told.as_slice(), code) {
        ([32, 45], _) | (_, Some("SM11AA")) => {
            let done = succeed(context, intent, &method);
            Ok(visible(context, done))
        }
        ([10, 11], _) | (_, Some("SM33CC")) => Err(fail(context, intent, &method, &EXCEEDED).status(400)),
        ([40, 41], _) | (_, Some("SM44DD")) => Err(fail(context, intent, &method, &TIMED_OUT).status(400)),
        _ => {
            let wrong =
                context.get(Table::PaymentMethods, &name).and_then(|row| row["tries"].as_i64()).unwrap_or(0) + 1;
            payment_methods::mark(context, &name, |row| row["tries"] = json!(wrong));
            if wrong >= TRIES {
                return Err(fail(context, intent, &method, &EXCEEDED).status(400));
            }
            let (code, param) = if code.is_some() {
                ("payment_method_microdeposit_verification_descriptor_code_mismatch", "descriptor_code")
            } else {
                ("payment_method_microdeposit_verification_amounts_mismatch", "amounts")
            };
            Err(StripeError::invalid("What you told does not match what was sent to the bank account.")
                .code(code)
                .param(param)
                .executed())
        }
    }
}
