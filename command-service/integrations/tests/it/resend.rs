//! What the Resend adapter makes of every kind of answer, and what exactly it sends.

use std::time::Duration;

use events::payment::UnknownCause;
use integrations::{ResendMail, ResendSettings, Secret};
use processes::ports::{Mail, MailPromise, Outcome, OutgoingEmail};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::responder::{Reply, Responder};

fn mail(base: &str) -> ResendMail {
    crate::install_tls();
    let settings = ResendSettings {
        api_base: base.to_owned(),
        api_key: Secret::from("re_hush"),
        connect_timeout: Duration::from_secs(2),
        timeout: Duration::from_millis(400),
    };
    ResendMail::try_new(&settings).expect("settings are good")
}

pub fn email() -> OutgoingEmail {
    OutgoingEmail {
        from_name: "Cedar \"Row\" HOA".to_owned(),
        from_address: "hoa@example.com".to_owned(),
        to: "ada@example.org".to_owned(),
        reply_to: Some("office@example.com".to_owned()),
        subject: "Votre facture\r\nBcc: all@example.org".to_owned(),
        html: "<p>Bonjour</p>".to_owned(),
        text: "Bonjour".to_owned(),
        reference: Uuid::from_u128(5),
        kind: "invoice-published".to_owned(),
        language: "fr".to_owned(),
    }
}

async fn send(reply: Reply) -> Outcome<Option<String>> {
    let server = Responder::start([reply]).await;
    mail(&server.url).send(&email(), "email:5").await
}

fn named(status: u16, name: &str) -> Reply {
    Reply::json(status, &json!({"statusCode": status, "message": "no ada@example.org", "name": name}))
}

#[tokio::test]
async fn a_message_is_handed_over_with_its_key_reference_and_tags() {
    let server = Responder::start([Reply::json(200, &json!({"id": "49a3999c"}))]).await;
    let resend = mail(&server.url);
    assert_eq!(resend.send(&email(), "email:5").await, Outcome::Done(Some("49a3999c".to_owned())));
    let seen = server.seen();
    assert_eq!(seen[0].line, "POST /emails HTTP/1.1");
    assert!(
        seen[0].head.contains("idempotency-key: email:5") && seen[0].head.contains("authorization: bearer re_hush")
    );
    let body: Value = serde_json::from_str(&seen[0].body).expect("JSON");
    let reference = "00000000-0000-0000-0000-000000000005";
    let expected = json!({
        "from": r#""Cedar \"Row\" HOA" <hoa@example.com>"#,
        "to": ["ada@example.org"],
        "subject": "Votre facture Bcc: all@example.org",
        "html": "<p>Bonjour</p>",
        "text": "Bonjour",
        "reply_to": "office@example.com",
        "headers": {"X-Message-Ref": reference},
        "tags": [{"name": "message", "value": reference}, {"name": "kind", "value": "invoice-published"}],
    });
    assert_eq!(body, expected);
    assert_eq!(resend.name(), "resend");
    assert!(matches!(resend.promise(), MailPromise::Idempotent { window } if window < Duration::from_secs(24 * 3600)));
    assert!(!format!("{resend:?}").contains("hush"));
}

#[tokio::test]
async fn the_same_message_is_the_same_bytes() {
    let server = Responder::start(vec![Reply::json(200, &json!({"id": "x"})); 3]).await;
    let resend = mail(&server.url);
    for _ in 0..3 {
        assert!(matches!(resend.send(&email(), "email:5").await, Outcome::Done(_)));
    }
    let seen = server.seen();
    assert!(seen.iter().all(|request| request.body == seen[0].body));
}

#[tokio::test]
async fn refusals_have_resends_name_and_no_address() {
    for (status, name) in [
        (409, "invalid_idempotent_request"),
        (422, "validation_error"),
        (403, "invalid_api_key"),
        (400, "invalid_idempotency_key"),
    ] {
        let outcome = send(named(status, name)).await;
        let Outcome::Refused(refused) = &outcome else { panic!("{outcome:?}") };
        assert_eq!((refused.code.as_str(), refused.why.contains('@')), (name, false));
    }
    let outcome = send(Reply::Answer(413, "", "<html>".to_owned())).await;
    assert!(matches!(&outcome, Outcome::Refused(refused) if refused.code == "413"), "{outcome:?}");
}

#[tokio::test]
async fn limits_and_keys_in_flight_are_retried() {
    let limited = Reply::Answer(429, "retry-after: 3\r\n", json!({"name": "rate_limit_exceeded"}).to_string());
    assert!(matches!(send(limited).await, Outcome::Retry { after, .. } if after == Duration::from_secs(3)));
    assert!(
        matches!(send(named(429, "daily_quota_exceeded")).await, Outcome::Retry { after, .. } if after >= Duration::from_secs(60))
    );
    assert!(matches!(send(named(409, "concurrent_idempotent_requests")).await, Outcome::Retry { .. }));
    let refused = mail("http://127.0.0.1:1").send(&email(), "email:5").await;
    assert!(matches!(refused, Outcome::Retry { .. }), "{refused:?}");
}

#[tokio::test]
async fn what_may_have_been_sent_is_unknown() {
    for (reply, expected) in [
        (Reply::Silence, UnknownCause::TimedOut),
        (Reply::HangUp, UnknownCause::TimedOut),
        (Reply::Truncated(200), UnknownCause::Undecodable),
        (Reply::Answer(200, "", "[]".to_owned()), UnknownCause::Undecodable),
        (Reply::Answer(200, "", "{\"id\":7}".to_owned()), UnknownCause::Undecodable),
        (named(500, "application_error"), UnknownCause::ProviderError),
        (Reply::Answer(409, "", String::new()), UnknownCause::Conflict),
    ] {
        let outcome = send(reply.clone()).await;
        assert!(matches!(outcome, Outcome::Unknown { cause, .. } if cause == expected), "{reply:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_a_header_is_refused() {
    for key in ["", "a\r\nb", &"k".repeat(257)] {
        let outcome = mail("http://127.0.0.1:1").send(&email(), key).await;
        assert!(matches!(&outcome, Outcome::Refused(refused) if refused.code == "invalid_key"), "{outcome:?}");
    }
}

fn listed(id: &str, subject: &str, to: &str, created_at: &str) -> Value {
    json!({ "id": id, "to": [to], "subject": subject, "created_at": created_at, "last_event": "delivered" })
}

const SUBJECT: &str = "Votre facture Bcc: all@example.org";

fn since() -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(1_772_366_400, 0).expect("2026-03-01 12:00")
}

#[tokio::test]
async fn a_message_is_found_by_recipient_subject_and_text_page_by_page() {
    let first = json!({ "object": "list", "has_more": true, "data": [
        listed("e1", "Another", "ada@example.org", "2026-03-02T08:00:00.000Z"),
        listed("e2", SUBJECT, "ben@example.org", "2026-03-02T07:00:00.000Z"),
        listed("e3", SUBJECT, "ada@example.org", "2026-03-02 06:00:00.000000+00"),
    ] });
    let second = json!({ "object": "list", "has_more": true, "data": [
        listed("e4", SUBJECT, "Ada@example.org", "2026-03-01T12:00:01.000Z"),
    ] });
    let answers = [
        Reply::json(200, &first),
        Reply::json(200, &json!({ "id": "e3", "text": "Something else" })),
        Reply::json(200, &second),
        Reply::json(200, &json!({ "id": "e4", "text": "Bonjour" })),
    ];
    let server = Responder::start(answers).await;
    let found = mail(&server.url).find(&email(), since()).await;
    assert_eq!(found, Some(Outcome::Done(Some("e4".to_owned()))));
    let lines: Vec<String> = server.seen().iter().map(|seen| seen.line.clone()).collect();
    let expected =
        ["?limit=100", "/e3", "?limit=100&after=e3", "/e4"].map(|path| format!("GET /emails{path} HTTP/1.1"));
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn what_is_not_among_the_messages_since_then_was_not_handed_over() {
    let older = listed("e1", SUBJECT, "ada@example.org", "2026-03-01T11:00:00.000Z");
    let page = json!({ "object": "list", "has_more": true, "data": [older] });
    let server = Responder::start([Reply::json(200, &page)]).await;
    assert_eq!(mail(&server.url).find(&email(), since()).await, Some(Outcome::Done(None)));
    let empty = Responder::start([Reply::json(200, &json!({ "object": "list", "data": [] }))]).await;
    assert_eq!(mail(&empty.url).find(&email(), since()).await, Some(Outcome::Done(None)));
}

#[tokio::test]
async fn a_look_that_fails_says_nothing_of_the_message() {
    for (reply, again) in [
        (named(429, "rate_limit_exceeded"), true),
        (named(500, "internal_server_error"), true),
        (named(401, "restricted_api_key"), false),
        (Reply::json(200, &json!({ "data": "none" })), false),
    ] {
        let server = Responder::start([reply]).await;
        let outcome = mail(&server.url).find(&email(), since()).await.expect("resend can be asked");
        assert_eq!(matches!(outcome, Outcome::Retry { .. }), again, "{outcome:?}");
        assert_eq!(matches!(outcome, Outcome::Refused(_)), !again, "{outcome:?}");
    }
}
