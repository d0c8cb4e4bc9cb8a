//! What a payment method shows of a card or a bank account.

use serde_json::{Value, json};

use super::magic::{Card, Face};

pub(crate) fn face(face: Face) -> Value {
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
    match face {
        Face::Card(Card { brand, last4, funding, country }) => {
            object["type"] = json!("card");
            object["card"] = json!({
                "brand": brand,
                "checks": {"address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass"},
                "country": country,
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
        }
        Face::Bank { last4 } => {
            object["type"] = json!("us_bank_account");
            object["us_bank_account"] = json!({
                "account_holder_type": "individual",
                "account_type": "checking",
                "bank_name": "STRIPE TEST BANK",
                "financial_connections_account": null,
                "fingerprint": format!("sandboxbank{last4}"),
                "last4": last4,
                "networks": {"preferred": "ach", "supported": ["ach"]},
                "routing_number": "110000000",
                "status_details": {},
            });
        }
    }
    object
}
