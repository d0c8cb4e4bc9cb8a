//! Amounts, currencies and application fees, with the bounds Stripe sets.

use super::context::{Context, PLATFORM};
use super::errors::StripeError;
use super::params::Params;

const SMALLEST: i64 = 50;
const LARGEST: i64 = 99_999_999;

pub(crate) fn amount(params: &Params) -> Result<i64, StripeError> {
    params.required("amount")?;
    let amount = params.integer("amount")?.unwrap_or(0);
    if amount < 1 {
        return Err(StripeError::invalid("This value must be greater than or equal to 1.")
            .code("parameter_invalid_integer")
            .param("amount"));
    }
    if amount < SMALLEST {
        return Err(StripeError::invalid("Amount must be at least $0.50 usd").code("amount_too_small").param("amount"));
    }
    if amount > LARGEST {
        return Err(StripeError::invalid("Amount must be no more than $999,999.99")
            .code("amount_too_large")
            .param("amount"));
    }
    Ok(amount)
}

pub(crate) fn currency(given: &str) -> Result<String, StripeError> {
    if given.len() == 3 && given.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        Ok(given.to_ascii_lowercase())
    } else {
        Err(StripeError::invalid(format!("Invalid currency: {given}.")).param("currency"))
    }
}

pub(crate) fn fee(context: &Context<'_>, params: &Params, amount: i64) -> Result<Option<i64>, StripeError> {
    let fee = params.integer("application_fee_amount")?;
    match fee {
        Some(_) if context.account == PLATFORM => Err(StripeError::invalid(
            "Can only apply an application_fee_amount when the PaymentIntent is attempting a direct payment \
             (using an OAuth key or Stripe-Account header) or destination payment.",
        )
        .param("application_fee_amount")),
        Some(fee) if fee < 0 || fee > amount => Err(StripeError::invalid(
            "The application fee must be positive and cannot be greater than the amount of the charge.",
        )
        .param("application_fee_amount")),
        other => Ok(other),
    }
}
