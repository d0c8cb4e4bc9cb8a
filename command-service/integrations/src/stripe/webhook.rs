//! Stripe's webhooks: whether to believe one, and which object it hints at.

mod objects;

use chrono::{DateTime, Utc};
use serde_json::Value;

pub use self::objects::{StripeDispute, StripeObject};
use crate::{
    Secret, SignatureProblem,
    signature::{check_any, check_time},
};

/// Believes a `Stripe-Signature` at most 300 seconds old or early, made with any of the secrets (two during a rotation).
pub fn verify(
    raw: &[u8],
    header: Option<&str>,
    secrets: &[Secret],
    now: DateTime<Utc>,
) -> Result<(), SignatureProblem> {
    let header = header.ok_or(SignatureProblem::Missing)?;
    let (mut stamp, mut signatures) = (None, Vec::new());
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => stamp = stamp.or(Some(value)),
            Some(("v1", value)) => signatures.extend(unhex(value)),
            // Other schemes, as `v0` of test events, prove nothing.
            _ => {}
        }
    }
    let stamp = stamp.ok_or(SignatureProblem::Malformed)?;
    if signatures.is_empty() {
        return Err(SignatureProblem::Malformed);
    }
    check_time(stamp, now)?;
    let message = [stamp.as_bytes(), b".", raw].concat();
    check_any(secrets.iter().map(|secret| secret.expose().as_bytes().to_vec()), &message, &signatures)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(high * 16 + low).ok(),
            _ => None,
        })
        .collect()
}

/// What a webhook says happened. A hint: the object is read again before anything follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeNotice {
    /// `evt_…`, the same when Stripe delivers it again.
    pub id: String,
    /// Stripe's type, as `payment_intent.succeeded`.
    pub kind: String,
    pub created: Option<DateTime<Utc>>,
    /// The connected account it happened on.
    pub account: Option<String>,
    pub object: StripeObject,
}

/// The bytes are no event of Stripe at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("not JSON")]
    NotJson,
    #[error("no {0:?}")]
    Missing(&'static str),
}

/// Reads an event. Unknown types and missing fields become [`StripeObject::Other`].
pub fn parse(raw: &[u8]) -> Result<StripeNotice, Unreadable> {
    let event: Value = serde_json::from_slice(raw).map_err(|_| Unreadable::NotJson)?;
    let kind = text(&event["type"]).ok_or(Unreadable::Missing("type"))?;
    Ok(StripeNotice {
        id: text(&event["id"]).ok_or(Unreadable::Missing("id"))?,
        created: event["created"].as_i64().and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
        account: text(&event["account"]),
        object: objects::object(&kind, &event["data"]),
        kind,
    })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use ring::hmac;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const BODY: &[u8] = br#"{"id":"evt_1","type":"payment_intent.succeeded"}"#;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap_or_default()
    }

    fn sign(secret: &str, stamp: i64, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, &[stamp.to_string().as_bytes(), b".", body].concat());
        tag.as_ref().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    fn header(secret: &str, stamp: i64) -> String {
        format!("t={stamp},v1={}", sign(secret, stamp, BODY))
    }

    fn check(header: &str, secrets: &[&str], now: i64) -> Result<(), SignatureProblem> {
        let secrets: Vec<Secret> = secrets.iter().copied().map(Secret::from).collect();
        verify(BODY, Some(header), &secrets, at(now))
    }

    #[test]
    fn a_signature_known_beforehand_is_accepted() {
        // Computed apart from this code: HMAC-SHA256 of "1700000000.{}" under "whsec_test".
        let known = "t=1700000000,v1=35495024f4ef3f94e5a93e22221544c4b75e9a42300cd965ab81cb85cd994e91";
        let secrets = [Secret::from("whsec_test")];
        assert_eq!(verify(b"{}", Some(known), &secrets, at(1_700_000_000)), Ok(()));
    }

    #[test]
    fn a_signature_is_accepted_up_to_300_seconds_off_and_not_301() {
        let header = header("whsec_a", 1_000_000);
        for now in [1_000_000, 1_000_300, 999_700] {
            assert_eq!(check(&header, &["whsec_a"], now), Ok(()));
        }
        for now in [1_000_301, 999_699, 0, i64::from(u32::MAX)] {
            assert_eq!(check(&header, &["whsec_a"], now), Err(SignatureProblem::Stale));
        }
    }

    #[test]
    fn either_of_two_secrets_is_accepted_during_a_rotation() {
        assert_eq!(check(&header("whsec_old", 5_000), &["whsec_new", "whsec_old"], 5_000), Ok(()));
        assert_eq!(check(&header("whsec_new", 5_000), &["whsec_new", "whsec_old"], 5_000), Ok(()));
    }

    #[test]
    fn one_good_signature_among_several_is_enough() {
        let good = sign("whsec_a", 5_000, BODY);
        let header = format!("t=5000, v1={}, v1=zz, v0={good}, v1={good}", "00".repeat(32));
        assert_eq!(check(&header, &["whsec_a"], 5_000), Ok(()));
    }

    #[test]
    fn a_forged_signature_is_refused() {
        assert_eq!(check(&header("whsec_b", 5_000), &["whsec_a"], 5_000), Err(SignatureProblem::Mismatch));
        let moved = header("whsec_a", 5_000).replace("t=5000", "t=5001");
        assert_eq!(check(&moved, &["whsec_a"], 5_000), Err(SignatureProblem::Mismatch));
        let other_scheme = header("whsec_a", 5_000).replace("v1=", "v0=");
        assert_eq!(check(&other_scheme, &["whsec_a"], 5_000), Err(SignatureProblem::Malformed));
    }

    #[test]
    fn an_empty_secret_opens_nothing() {
        assert_eq!(check(&header("", 5_000), &[""], 5_000), Err(SignatureProblem::Mismatch));
        assert_eq!(check(&header("whsec_a", 5_000), &[], 5_000), Err(SignatureProblem::Mismatch));
    }

    #[test]
    fn a_header_that_cannot_be_read_is_refused() {
        assert_eq!(verify(BODY, None, &[Secret::from("whsec_a")], at(0)), Err(SignatureProblem::Missing));
        for header in
            ["", "t", "t=", "v1=00", "t=5000", "t=abc,v1=00", "t=5000,v1=abc", "t=5000,v1=é", "t=-9223372036854775808"]
        {
            assert_eq!(check(header, &["whsec_a"], 5_000), Err(SignatureProblem::Malformed), "{header}");
        }
    }

    fn parsed(event: &Value) -> Result<StripeNotice, Unreadable> {
        parse(event.to_string().as_bytes())
    }

    #[test]
    fn a_payment_intent_leads_to_our_payment() {
        let ours = Uuid::from_u128(7);
        let notice = parsed(&json!({
            "id": "evt_1", "type": "payment_intent.succeeded", "created": 1_700_000_000, "account": "acct_1",
            "data": {"object": {"object": "payment_intent", "id": "pi_1", "metadata": {"propty_payment": ours}}},
        }));
        let expected = StripeNotice {
            id: "evt_1".to_owned(),
            kind: "payment_intent.succeeded".to_owned(),
            created: Some(at(1_700_000_000)),
            account: Some("acct_1".to_owned()),
            object: StripeObject::PaymentIntent { id: "pi_1".to_owned(), payment: Some(ours) },
        };
        assert_eq!(notice, Ok(expected));
    }

    #[test]
    fn refunds_charges_and_accounts_are_told_apart() {
        let of = |kind: &str, object: Value| {
            parsed(&json!({"id": "evt_1", "type": kind, "data": {"object": object}})).map(|notice| notice.object)
        };
        assert_eq!(
            of("refund.updated", json!({"object": "refund", "id": "re_1", "payment_intent": "pi_1", "metadata": null})),
            Ok(StripeObject::Refund { id: "re_1".to_owned(), intent: Some("pi_1".to_owned()), refund: None })
        );
        assert_eq!(
            of("charge.refunded", json!({"object": "charge", "id": "ch_1", "payment_intent": {"id": "pi_1"}})),
            Ok(StripeObject::Charge { id: "ch_1".to_owned(), intent: Some("pi_1".to_owned()) })
        );
        assert_eq!(
            of("account.updated", json!({"object": "account", "id": "acct_1"})),
            Ok(StripeObject::Account { id: "acct_1".to_owned() })
        );
        assert_eq!(
            of("account.application.deauthorized", json!({"object": "application", "id": "ca_1"})),
            Ok(StripeObject::Deauthorized)
        );
    }

    #[test]
    fn an_unknown_type_or_a_missing_field_is_other() {
        for event in [
            json!({"id": "evt_1", "type": "comet.sighted", "data": {"object": {"object": "comet", "id": "co_1"}}}),
            json!({"id": "evt_1", "type": "payment_intent.succeeded"}),
            json!({"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": {"object": "payment_intent"}}}),
            json!({"id": "evt_1", "type": "payment_intent.succeeded", "data": [], "created": "soon", "account": 7}),
        ] {
            assert_eq!(parsed(&event).map(|notice| notice.object), Ok(StripeObject::Other), "{event}");
        }
    }

    #[test]
    fn what_is_no_event_is_said_to_be_unreadable() {
        assert_eq!(parse(b"{\"id\":\"evt_1\",\"ty"), Err(Unreadable::NotJson));
        assert_eq!(parse(b"\xff\xfe"), Err(Unreadable::NotJson));
        assert_eq!(parse(b"[]"), Err(Unreadable::Missing("type")));
        assert_eq!(parse(br#"{"type":"x"}"#), Err(Unreadable::Missing("id")));
    }
}
