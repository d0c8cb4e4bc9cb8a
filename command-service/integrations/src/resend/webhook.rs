//! Resend's webhooks: whether to believe one (Svix, the Standard Webhooks scheme), and what became of which message.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use events::email::BounceKind;
use serde_json::Value;
use uuid::Uuid;

use super::tag;
use crate::{
    Secret, SignatureProblem,
    signature::{check_any, check_time},
};

/// The three headers that carry the signature.
#[derive(Debug, Clone, Copy, Default)]
pub struct SvixHeaders<'a> {
    /// `svix-id`: the same when the webhook is delivered again.
    pub id: Option<&'a str>,
    /// `svix-timestamp`.
    pub timestamp: Option<&'a str>,
    /// `svix-signature`.
    pub signature: Option<&'a str>,
}

/// Believes a signature at most 300 seconds old or early, made with any of the secrets (`whsec_…`, two during a rotation).
pub fn verify(
    raw: &[u8],
    headers: &SvixHeaders<'_>,
    secrets: &[Secret],
    now: DateTime<Utc>,
) -> Result<(), SignatureProblem> {
    let id = headers.id.ok_or(SignatureProblem::Missing)?;
    let stamp = headers.timestamp.ok_or(SignatureProblem::Missing)?;
    let signatures: Vec<Vec<u8>> = headers
        .signature
        .ok_or(SignatureProblem::Missing)?
        .split_ascii_whitespace()
        .filter_map(|part| part.strip_prefix("v1,"))
        .filter_map(|signature| STANDARD.decode(signature).ok())
        .collect();
    if id.is_empty() || signatures.is_empty() {
        return Err(SignatureProblem::Malformed);
    }
    check_time(stamp, now)?;
    let message = [id.as_bytes(), b".", stamp.as_bytes(), b".", raw].concat();
    let keys = secrets.iter().filter_map(|secret| {
        let text = secret.expose();
        STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok()
    });
    check_any(keys, &message, &signatures)
}

/// What a webhook says became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResendNotice {
    pub kind: ResendKind,
    /// Resend's id of the message.
    pub email_id: Option<String>,
    /// Our message's id, from its tag.
    pub message: Option<Uuid>,
    /// With [`ResendKind::Bounced`].
    pub bounce: Option<Bounce>,
    /// With [`ResendKind::Failed`]: Resend's code, as `reached_daily_quota`.
    pub failure: Option<String>,
    /// When it happened, by Resend's clock.
    pub at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResendKind {
    Sent,
    Delivered,
    Delayed,
    Bounced,
    Complained,
    Opened,
    Clicked,
    Failed,
    /// Not sent because Resend's own list, shared by all who use the key, has the address. Why stays with Resend:
    /// it may be another community's bounce.
    Suppressed,
    /// A type we do not know, or have no use for.
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounce {
    pub kind: BounceKind,
    /// Resend's subtype, as `MailboxFull`. Its messages stay unread: they quote addresses.
    pub reason: String,
}

/// The bytes are no event of Resend at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("not JSON")]
    NotJson,
    #[error("no \"type\"")]
    NoType,
}

/// Reads an event. Whatever it does not know or find is left out.
pub fn parse(raw: &[u8]) -> Result<ResendNotice, Unreadable> {
    let event: Value = serde_json::from_slice(raw).map_err(|_| Unreadable::NotJson)?;
    let kind = match event["type"].as_str().ok_or(Unreadable::NoType)? {
        "email.sent" => ResendKind::Sent,
        "email.delivered" => ResendKind::Delivered,
        "email.delivery_delayed" => ResendKind::Delayed,
        "email.bounced" => ResendKind::Bounced,
        "email.complained" => ResendKind::Complained,
        "email.opened" => ResendKind::Opened,
        "email.clicked" => ResendKind::Clicked,
        "email.failed" => ResendKind::Failed,
        "email.suppressed" => ResendKind::Suppressed,
        other => ResendKind::Other(other.to_owned()),
    };
    let data = &event["data"];
    Ok(ResendNotice {
        email_id: data["email_id"].as_str().map(str::to_owned),
        message: tagged(&data["tags"], tag::MESSAGE).and_then(|id| Uuid::try_parse(id).ok()),
        bounce: (kind == ResendKind::Bounced).then(|| bounce(&data["bounce"])),
        failure: (kind == ResendKind::Failed).then(|| code(&data["failed"]["reason"])).flatten(),
        at: event["created_at"].as_str().and_then(time),
        kind,
    })
}

/// A tag's value, whether tags come as `{name: value}` or as `[{name, value}]`.
fn tagged<'a>(tags: &'a Value, name: &str) -> Option<&'a str> {
    match tags {
        Value::Object(tags) => tags.get(name)?.as_str(),
        Value::Array(tags) => tags.iter().find(|tag| tag["name"] == name)?["value"].as_str(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn bounce(bounce: &Value) -> Bounce {
    let kind = match bounce["type"].as_str() {
        Some("Permanent") => BounceKind::Permanent,
        Some("Transient") => BounceKind::Transient,
        // Not knowing must not suppress an address for good.
        _ => BounceKind::Undetermined,
    };
    let reason = code(&bounce["subType"]).or_else(|| code(&bounce["type"]));
    Bounce { kind, reason: reason.unwrap_or_else(|| "Undetermined".to_owned()) }
}

/// A word of a provider's vocabulary, and nothing longer or richer that might hold an address.
fn code(value: &Value) -> Option<String> {
    let word = value.as_str()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ');
    (!word.is_empty() && word.len() <= 64 && word.chars().all(plain)).then(|| word.to_owned())
}

/// RFC 3339, also with the space and short offset that Resend's database prints.
fn time(text: &str) -> Option<DateTime<Utc>> {
    let time =
        DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z"));
    time.ok().map(|time| time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use ring::hmac;
    use serde_json::json;

    use super::*;

    /// The test vector that Svix's own libraries share.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const STAMP: i64 = 1_614_265_330;
    const PAYLOAD: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap_or_default()
    }

    fn check(signature: &str, secrets: &[&str], now: i64) -> Result<(), SignatureProblem> {
        let secrets: Vec<Secret> = secrets.iter().copied().map(Secret::from).collect();
        let stamp = STAMP.to_string();
        let headers = SvixHeaders { id: Some(ID), timestamp: Some(&stamp), signature: Some(signature) };
        verify(PAYLOAD, &headers, &secrets, at(now))
    }

    fn sign(secret: &str) -> String {
        let key = STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap_or_default();
        let message = [format!("{ID}.{STAMP}.").as_bytes(), PAYLOAD].concat();
        format!("v1,{}", STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &message)))
    }

    #[test]
    fn the_known_answer_of_svix_is_accepted() {
        assert_eq!(check(SIGNATURE, &[SECRET], STAMP), Ok(()));
        assert_eq!(check(SIGNATURE, &[SECRET.trim_start_matches("whsec_")], STAMP), Ok(()));
    }

    #[test]
    fn a_webhook_is_accepted_up_to_300_seconds_off_and_not_301() {
        assert_eq!(check(SIGNATURE, &[SECRET], STAMP + 300), Ok(()));
        assert_eq!(check(SIGNATURE, &[SECRET], STAMP - 300), Ok(()));
        assert_eq!(check(SIGNATURE, &[SECRET], STAMP + 301), Err(SignatureProblem::Stale));
        assert_eq!(check(SIGNATURE, &[SECRET], STAMP - 301), Err(SignatureProblem::Stale));
    }

    #[test]
    fn several_signatures_and_several_secrets_are_tried() {
        let other = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
        let both = format!("v1a,AAAA {} {}", sign(other), sign(SECRET));
        assert_eq!(check(&both, &[SECRET], STAMP), Ok(()));
        assert_eq!(check(&sign(other), &[SECRET, other], STAMP), Ok(()));
        assert_eq!(check(&sign(other), &[SECRET], STAMP), Err(SignatureProblem::Mismatch));
    }

    #[test]
    fn an_empty_or_broken_secret_opens_nothing() {
        assert_eq!(check(&sign(""), &["", "whsec_", "whsec_%%%"], STAMP), Err(SignatureProblem::Mismatch));
    }

    #[test]
    fn a_forged_or_missing_signature_is_refused() {
        let secrets = [Secret::from(SECRET)];
        let stamp = STAMP.to_string();
        let headers = SvixHeaders { id: Some(ID), timestamp: Some(&stamp), signature: Some(SIGNATURE) };
        let refused = |headers: SvixHeaders<'_>, raw: &[u8]| verify(raw, &headers, &secrets, at(STAMP));
        assert_eq!(refused(headers, b"{\"test\": 1}"), Err(SignatureProblem::Mismatch));
        assert_eq!(refused(SvixHeaders { id: Some("msg_other"), ..headers }, PAYLOAD), Err(SignatureProblem::Mismatch));
        assert_eq!(refused(SvixHeaders { id: None, ..headers }, PAYLOAD), Err(SignatureProblem::Missing));
        assert_eq!(refused(SvixHeaders { timestamp: None, ..headers }, PAYLOAD), Err(SignatureProblem::Missing));
        assert_eq!(
            refused(SvixHeaders { timestamp: Some("now"), ..headers }, PAYLOAD),
            Err(SignatureProblem::Malformed)
        );
        assert_eq!(refused(SvixHeaders { signature: None, ..headers }, PAYLOAD), Err(SignatureProblem::Missing));
        for signature in ["", "v1", "v1,", "v1,***", "v2,g0hM"] {
            let problem = refused(SvixHeaders { signature: Some(signature), ..headers }, PAYLOAD);
            assert!(matches!(problem, Err(SignatureProblem::Malformed | SignatureProblem::Mismatch)), "{signature}");
        }
    }

    fn parsed(event: &Value) -> Result<ResendNotice, Unreadable> {
        parse(event.to_string().as_bytes())
    }

    #[test]
    fn a_message_is_found_by_its_tag_in_either_form() {
        let ours = Uuid::from_u128(9);
        for tags in [
            json!({"message": ours, "kind": "x"}),
            json!([{"name": "kind", "value": "x"}, {"name": "message", "value": ours}]),
        ] {
            let notice = parsed(&json!({
                "type": "email.delivered", "created_at": "2026-11-22T10:00:00.500Z", "data": {"email_id": "re_1", "tags": tags},
            }));
            let notice =
                notice.map(|notice| (notice.kind, notice.email_id, notice.message, notice.at.map(|at| at.timestamp())));
            assert_eq!(notice, Ok((ResendKind::Delivered, Some("re_1".to_owned()), Some(ours), Some(1_795_341_600))));
        }
    }

    #[test]
    fn bounces_are_told_apart_and_keep_no_address() {
        let of = |bounce: Value| {
            parsed(&json!({"type": "email.bounced", "data": {"bounce": bounce}})).map(|notice| notice.bounce)
        };
        let is = |kind, reason: &str| Ok(Some(Bounce { kind, reason: reason.to_owned() }));
        assert_eq!(
            of(json!({"type": "Permanent", "subType": "General", "message": "no ada@example.com"})),
            is(BounceKind::Permanent, "General")
        );
        assert_eq!(of(json!({"type": "Transient", "subType": "NewSubtype"})), is(BounceKind::Transient, "NewSubtype"));
        assert_eq!(of(json!({"type": "Cosmic", "subType": "ada@example.com"})), is(BounceKind::Undetermined, "Cosmic"));
        assert_eq!(of(Value::Null), is(BounceKind::Undetermined, "Undetermined"));
    }

    #[test]
    fn unknown_types_and_odd_fields_are_tolerated() {
        let notice =
            parsed(&json!({"type": "email.teleported", "created_at": 7, "data": {"tags": "x", "email_id": 1}}));
        let other = ResendKind::Other("email.teleported".to_owned());
        let expected =
            ResendNotice { kind: other, email_id: None, message: None, bounce: None, failure: None, at: None };
        assert_eq!(notice, Ok(expected));
        let failed = parsed(&json!({"type": "email.failed", "data": {"failed": {"reason": "reached_daily_quota"}}}));
        assert_eq!(failed.map(|notice| notice.failure), Ok(Some("reached_daily_quota".to_owned())));
        assert_eq!(parse(b"{"), Err(Unreadable::NotJson));
        assert_eq!(parse(b"{}"), Err(Unreadable::NoType));
    }

    #[test]
    fn both_ways_to_write_a_time_are_read() {
        assert_eq!(time("2023-11-22 23:41:12.126+00"), time("2023-11-22T23:41:12.126Z"));
        assert!(time("2023-11-22T23:41:12.126Z").is_some());
    }
}
