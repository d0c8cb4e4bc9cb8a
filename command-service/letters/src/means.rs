//! What people recognize their card or bank account by.

use crate::{Method, layout::one_line, wording::PaymentWording};

pub fn method_name(method: Method<'_>, phrases: &PaymentWording) -> String {
    match method {
        Method::Card { brand, last4 } => format!("{} ****{}", brand_name(brand, phrases), one_line(last4)),
        Method::Bank { last4 } => format!("{} ****{}", phrases.bank, one_line(last4)),
        Method::Online => phrases.online.to_owned(),
        Method::Offline(method) => phrases.offline(method).to_owned(),
    }
}

/// The names that stand on the cards, for Stripe's words; a brand of tomorrow is simply a card.
fn brand_name(brand: &str, phrases: &PaymentWording) -> &'static str {
    match brand {
        "amex" => "American Express",
        "cartes_bancaires" => "Cartes Bancaires",
        "diners" => "Diners Club",
        "discover" => "Discover",
        "eftpos_au" => "eftpos",
        "interac" => "Interac",
        "jcb" => "JCB",
        "mastercard" => "Mastercard",
        "unionpay" => "UnionPay",
        "visa" => "Visa",
        _ => phrases.card,
    }
}
