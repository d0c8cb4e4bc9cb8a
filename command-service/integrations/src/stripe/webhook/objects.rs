//! Which object an event is about.

use events::payment::CardSummary;
use serde_json::Value;
use uuid::Uuid;

use super::{super::tag, text};

/// The object a webhook is about, by the ids that lead to ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StripeObject {
    PaymentIntent {
        id: String,
        payment: Option<Uuid>,
    },
    Refund {
        id: String,
        intent: Option<String>,
        refund: Option<Uuid>,
    },
    Charge {
        id: String,
        intent: Option<String>,
    },
    SetupIntent {
        id: String,
        setup: Option<Uuid>,
        enrollment: Option<Uuid>,
    },
    /// Detached, or updated by the card's network.
    PaymentMethod {
        id: String,
        /// The one it belongs to; for a detached method the one it belonged to.
        customer: Option<String>,
        detached: bool,
        /// What a card shows now.
        card: Option<CardSummary>,
    },
    Mandate {
        id: String,
        method: Option<String>,
        active: bool,
    },
    Dispute(StripeDispute),
    Payout {
        id: String,
        /// Stripe's word: `paid`, `failed` …
        status: String,
    },
    Account {
        id: String,
    },
    /// The account's owner took our access away; the notice names the account.
    Deauthorized,
    /// Of no interest yet, or without the fields that would make it so.
    Other,
}

/// A dispute as the event tells it; a late return of an ACH debit is one with the status `lost`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeDispute {
    pub id: String,
    pub charge: Option<String>,
    pub intent: Option<String>,
    /// Minor units.
    pub amount: Option<i64>,
    /// Upper case ISO code.
    pub currency: Option<String>,
    pub reason: Option<String>,
    pub status: Option<String>,
}

pub(super) fn object(kind: &str, data: &Value) -> StripeObject {
    if kind == "account.application.deauthorized" {
        return StripeObject::Deauthorized;
    }
    let object = &data["object"];
    let Some(id) = text(&object["id"]) else { return StripeObject::Other };
    let ours = |key: &str| object["metadata"][key].as_str().and_then(|id| Uuid::try_parse(id).ok());
    match object["object"].as_str() {
        Some("payment_intent") => StripeObject::PaymentIntent { id, payment: ours(tag::PAYMENT) },
        Some("refund") => {
            StripeObject::Refund { id, intent: named(&object["payment_intent"]), refund: ours(tag::REFUND) }
        }
        Some("charge") => StripeObject::Charge { id, intent: named(&object["payment_intent"]) },
        Some("setup_intent") => {
            StripeObject::SetupIntent { id, setup: ours(tag::SETUP), enrollment: ours(tag::ENROLLMENT) }
        }
        Some("payment_method") => StripeObject::PaymentMethod {
            id,
            customer: named(&object["customer"]).or_else(|| named(&data["previous_attributes"]["customer"])),
            detached: kind == "payment_method.detached",
            card: card(&object["card"]),
        },
        Some("mandate") => StripeObject::Mandate {
            id,
            method: named(&object["payment_method"]),
            active: object["status"].as_str() != Some("inactive"),
        },
        Some("dispute") => StripeObject::Dispute(StripeDispute {
            id,
            charge: named(&object["charge"]),
            intent: named(&object["payment_intent"]),
            amount: object["amount"].as_i64(),
            currency: text(&object["currency"]).map(|code| code.to_ascii_uppercase()),
            reason: text(&object["reason"]),
            status: text(&object["status"]),
        }),
        Some("payout") => match text(&object["status"]) {
            Some(status) => StripeObject::Payout { id, status },
            None => StripeObject::Other,
        },
        Some("account") => StripeObject::Account { id },
        _ => StripeObject::Other,
    }
}

/// An id, or the object itself where a later version of the API expands it.
fn named(value: &Value) -> Option<String> {
    text(value).or_else(|| text(&value["id"]))
}

fn card(card: &Value) -> Option<CardSummary> {
    Some(CardSummary {
        brand: text(&card["brand"])?,
        // Four digits or nothing: no mistake of anybody may let a whole number through.
        last4: text(&card["last4"]).filter(|last4| last4.len() == 4)?,
        exp_month: u8::try_from(card["exp_month"].as_i64()?).ok()?,
        exp_year: u16::try_from(card["exp_year"].as_i64()?).ok()?,
        funding: text(&card["funding"]).unwrap_or_else(|| "unknown".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_setup_intent_leads_to_our_enrollment() {
        let (setup, enrollment) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let data = json!({"object": {"object": "setup_intent", "id": "seti_1",
            "metadata": {"propty_setup": setup, "propty_enrollment": enrollment}}});
        let expected =
            StripeObject::SetupIntent { id: "seti_1".to_owned(), setup: Some(setup), enrollment: Some(enrollment) };
        assert_eq!(object("setup_intent.succeeded", &data), expected);
    }

    #[test]
    fn a_detached_method_names_the_customer_it_had() {
        let data = json!({"object": {"object": "payment_method", "id": "pm_1", "customer": null, "type": "us_bank_account"},
            "previous_attributes": {"customer": "cus_1"}});
        let (id, customer) = ("pm_1".to_owned(), Some("cus_1".to_owned()));
        let expected = StripeObject::PaymentMethod { id, customer, detached: true, card: None };
        assert_eq!(object("payment_method.detached", &data), expected);
    }

    #[test]
    fn an_updated_card_tells_its_new_digits_and_never_a_whole_number() {
        let of = |last4: &str| {
            let card = json!({"brand": "visa", "last4": last4, "exp_month": 2, "exp_year": 2031, "funding": "debit"});
            let data = json!({"object": {"object": "payment_method", "id": "pm_1", "customer": "cus_1", "card": card}});
            match object("payment_method.automatically_updated", &data) {
                StripeObject::PaymentMethod { card, detached: false, .. } => card.map(|card| card.last4),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(of("4444"), Some("4444".to_owned()));
        assert_eq!(of("4000000000000002"), None);
    }

    #[test]
    fn mandates_disputes_and_payouts_are_told_apart() {
        let mandate =
            json!({"object": {"object": "mandate", "id": "mandate_1", "payment_method": "pm_1", "status": "inactive"}});
        let (id, method) = ("mandate_1".to_owned(), Some("pm_1".to_owned()));
        assert_eq!(object("mandate.updated", &mandate), StripeObject::Mandate { id, method, active: false });
        let dispute = json!({"object": {"object": "dispute", "id": "du_1", "charge": "py_1", "payment_intent": {"id": "pi_1"},
            "amount": 500, "currency": "usd", "reason": "insufficient_funds", "status": "lost"}});
        let expected = StripeDispute {
            id: "du_1".to_owned(),
            charge: Some("py_1".to_owned()),
            intent: Some("pi_1".to_owned()),
            amount: Some(500),
            currency: Some("USD".to_owned()),
            reason: Some("insufficient_funds".to_owned()),
            status: Some("lost".to_owned()),
        };
        assert_eq!(object("charge.dispute.created", &dispute), StripeObject::Dispute(expected));
        let payout = json!({"object": {"object": "payout", "id": "po_1", "status": "failed"}});
        let (id, status) = ("po_1".to_owned(), "failed".to_owned());
        assert_eq!(object("payout.failed", &payout), StripeObject::Payout { id, status });
    }
}
