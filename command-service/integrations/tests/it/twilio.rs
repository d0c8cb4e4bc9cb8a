//! What the Twilio adapter makes of every kind of answer, what exactly it sends, and what it finds again in the sandbox.

use std::time::Duration;

use events::payment::UnknownCause;
use integrations::{
    Secret, TwilioSettings, TwilioTexts,
    twilio::webhook::{self, Received, TwilioNotice},
};
use processes::ports::{Outcome, OutgoingText, TextSnapshot, TextStatus, Texts};
use sandbox::{Fault, FaultKind, Provider, Sandbox, SandboxConfig, WebhookTarget};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::responder::{Reply, Responder};

const TO: &str = "+15555550100";
const TOKEN: &str = "hush-hush";

fn settings(base: &str, public_url: &str) -> TwilioSettings {
    TwilioSettings {
        api_base: base.to_owned(),
        account_sid: "AC0000000000000000000000000000000a".to_owned(),
        auth_token: Secret::from(TOKEN),
        messaging_service: "MG0000000000000000000000000000000b".to_owned(),
        public_url: public_url.to_owned(),
        connect_timeout: Duration::from_secs(2),
        timeout: Duration::from_millis(400),
    }
}

fn texts(base: &str) -> TwilioTexts {
    crate::install_tls();
    TwilioTexts::try_new(&settings(base, "https://hoa.example.org/")).expect("settings are good")
}

fn text(to: &str) -> OutgoingText {
    OutgoingText {
        to: to.to_owned(),
        body: "Cedar Row: facture publiée & prête. Ref K7Q2XM".to_owned(),
        short_reference: "K7Q2XM".to_owned(),
        organization: Uuid::from_u128(1),
        reference: Uuid::from_u128(5),
        valid_for: 3_600,
    }
}

fn message(more: &Value) -> Value {
    let mut message = json!({"sid": "SM1", "status": "accepted", "error_code": null, "num_segments": "0", "to": TO});
    for (name, value) in more.as_object().into_iter().flatten() {
        message[name] = value.clone();
    }
    message
}

async fn send(reply: Reply) -> Outcome<TextSnapshot> {
    let server = Responder::start([reply]).await;
    texts(&server.url).send(&text(TO)).await
}

fn problem(status: u16, code: u32) -> Reply {
    Reply::json(status, &json!({"code": code, "message": format!("no {TO}"), "status": status}))
}

#[tokio::test]
async fn a_text_is_handed_over_with_our_id_in_its_callback() {
    let server = Responder::start([Reply::json(201, &message(&json!({"num_segments": "2"})))]).await;
    let twilio = texts(&server.url);
    let accepted = TextSnapshot { id: "SM1".to_owned(), status: TextStatus::Accepted, error: None, segments: Some(2) };
    assert_eq!(twilio.send(&text(TO)).await, Outcome::Done(accepted));
    let seen = &server.seen()[0];
    assert_eq!(seen.line, "POST /2010-04-01/Accounts/AC0000000000000000000000000000000a/Messages.json HTTP/1.1");
    assert_eq!(seen.header("content-type"), Some("application/x-www-form-urlencoded"));
    // What `curl -u` would send.
    assert_eq!(
        seen.header("authorization"),
        Some("Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwYTpodXNoLWh1c2g=")
    );
    let form: Vec<(String, String)> = form_urlencoded::parse(seen.body.as_bytes()).into_owned().collect();
    let callback = "https://hoa.example.org/webhooks/twilio/status?organization=00000000-0000-0000-0000-000000000001&\
                    text=00000000-0000-0000-0000-000000000005";
    let expected = [
        ("To", TO),
        ("MessagingServiceSid", "MG0000000000000000000000000000000b"),
        ("Body", "Cedar Row: facture publiée & prête. Ref K7Q2XM"),
        ("StatusCallback", callback),
        ("ValidityPeriod", "3600"),
    ];
    assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let shown = format!("{twilio:?} {:?} {:?}", settings("https://api.twilio.com", ""), text(TO));
    assert!(!shown.contains(TOKEN) && !shown.contains(TO) && !shown.contains("facture"), "{shown}");
}

#[tokio::test]
async fn refusals_have_twilios_code_and_no_number() {
    for code in [21610, 21211, 21612, 21614, 30007, 30034] {
        let outcome = send(problem(400, code)).await;
        let Outcome::Refused(refused) = &outcome else { panic!("{outcome:?}") };
        assert_eq!((refused.code.as_str(), refused.why.contains('+')), (code.to_string().as_str(), false));
    }
    let outcome = send(Reply::Answer(404, "", "<html>".to_owned())).await;
    assert!(matches!(&outcome, Outcome::Refused(refused) if refused.code == "404"), "{outcome:?}");
}

#[tokio::test]
async fn limits_full_queues_and_closed_doors_are_waited_out() {
    let limited = Reply::Answer(429, "retry-after: 3\r\n", json!({"code": 20429}).to_string());
    assert!(matches!(send(limited).await, Outcome::Retry { after, .. } if after == Duration::from_secs(3)));
    for (status, code) in
        [(400, 21611), (400, 30022), (400, 30001), (429, 20429), (400, 20429), (401, 20003), (403, 20403)]
    {
        let outcome = send(problem(status, code)).await;
        assert!(matches!(outcome, Outcome::Retry { after, .. } if !after.is_zero()), "{status} {code}: {outcome:?}");
    }
    let refused = texts("http://127.0.0.1:1").send(&text(TO)).await;
    assert!(matches!(refused, Outcome::Retry { .. }), "{refused:?}");
}

#[tokio::test]
async fn what_may_have_been_sent_is_unknown() {
    for (reply, expected) in [
        (Reply::Silence, UnknownCause::TimedOut),
        (Reply::HangUp, UnknownCause::TimedOut),
        (Reply::Truncated(201), UnknownCause::Undecodable),
        (Reply::Answer(201, "", "[]".to_owned()), UnknownCause::Undecodable),
        (Reply::Answer(201, "", "{\"sid\":7}".to_owned()), UnknownCause::Undecodable),
        (problem(500, 20500), UnknownCause::ProviderError),
        (problem(503, 20503), UnknownCause::ProviderError),
        (Reply::Answer(408, "", String::new()), UnknownCause::Conflict),
    ] {
        let outcome = send(reply.clone()).await;
        assert!(matches!(outcome, Outcome::Unknown { cause, .. } if cause == expected), "{reply:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn settings_that_could_lead_elsewhere_are_refused() {
    crate::install_tls();
    let good = settings("https://api.twilio.com", "https://hoa.example.org");
    assert!(TwilioTexts::try_new(&good).is_ok());
    for wrong in [
        TwilioSettings { account_sid: "AC1/../AC2".to_owned(), ..good.clone() },
        TwilioSettings { account_sid: "SK1".to_owned(), ..good.clone() },
        TwilioSettings { messaging_service: String::new(), ..good.clone() },
        TwilioSettings { auth_token: Secret::from(" "), ..good.clone() },
        TwilioSettings { api_base: "ftp://api.twilio.com".to_owned(), ..good.clone() },
    ] {
        assert!(TwilioTexts::try_new(&wrong).is_err(), "{wrong:?}");
    }
}

fn page(messages: &[Value], next: Option<&str>) -> Reply {
    Reply::json(200, &json!({"messages": messages, "next_page_uri": next, "page": 0}))
}

#[tokio::test]
async fn a_text_is_found_by_recipient_and_reference_on_any_page_but_not_among_what_came_in() {
    let account = "/2010-04-01/Accounts/AC0000000000000000000000000000000a";
    let told =
        |direction: &str, body: &str| message(&json!({"direction": direction, "body": body, "status": "delivered"}));
    let next = format!("{account}/Messages.json?To=x&Page=1");
    let first = page(&[told("inbound", "Ref K7Q2XM?"), told("outbound-api", "Ref OTHER1")], Some(&next));
    let server = Responder::start([first, page(&[told("outbound-api", "Dues. Ref K7Q2XM")], None)]).await;
    let found = texts(&server.url).find(TO, "K7Q2XM").await;
    assert!(
        matches!(&found, Outcome::Done(Some(found)) if found.status == TextStatus::Delivered && found.id == "SM1"),
        "{found:?}"
    );
    let seen = server.seen();
    assert_eq!(seen[0].line, format!("GET {account}/Messages.json?To=%2B15555550100&PageSize=50 HTTP/1.1"));
    assert_eq!(seen[1].line, format!("GET {next} HTTP/1.1"));
}

#[tokio::test]
async fn our_token_does_not_follow_a_page_to_elsewhere() {
    for next in [
        "/2010-04-01/Accounts/AC2/Messages.json",
        "/2010-04-01/../AC2/Messages.json",
        "https://evil.example.com/2010-04-01/Accounts/AC2/x",
        "@evil.example.com/",
    ] {
        let server = Responder::start([page(&[], Some(next)), page(&[], None)]).await;
        assert_eq!(texts(&server.url).find(TO, "K7Q2XM").await, Outcome::Done(None), "{next}");
        assert_eq!(server.seen().len(), 1, "{next}");
    }
}

#[tokio::test]
async fn a_lookup_that_fails_is_made_again_and_proves_nothing() {
    for reply in [
        Reply::Silence,
        Reply::HangUp,
        Reply::Truncated(200),
        problem(500, 20500),
        problem(429, 20429),
        problem(401, 20003),
    ] {
        let server = Responder::start([reply.clone()]).await;
        let outcome = texts(&server.url).find(TO, "K7Q2XM").await;
        assert!(matches!(outcome, Outcome::Retry { .. }), "{reply:?}: {outcome:?}");
    }
    let server =
        Responder::start([Reply::json(200, &message(&json!({"status": "undelivered", "error_code": 30005})))]).await;
    let read = texts(&server.url).text("SM1").await;
    assert!(
        matches!(&read, Outcome::Done(now) if (now.status, now.error) == (TextStatus::Undelivered, Some(30005))),
        "{read:?}"
    );
    assert!(matches!(texts("http://127.0.0.1:1").text("../AC2").await, Outcome::Refused(_)));
}

/// The adapter with a sandbox behind it.
struct World {
    sandbox: Sandbox,
    texts: TwilioTexts,
    hooks: Responder,
}

impl World {
    async fn start() -> Self {
        crate::install_tls();
        let hooks = Responder::start(vec![Reply::Answer(200, "", String::new()); 8]).await;
        let inbound =
            WebhookTarget { url: format!("{}{}", hooks.url, webhook::INBOUND_PATH), secret: TOKEN.to_owned() };
        let config = SandboxConfig { twilio_webhooks: Some(inbound), ..SandboxConfig::default() };
        let sandbox = Sandbox::start(config).await.expect("a sandbox");
        let settings = settings(&format!("{}/twilio", sandbox.url()), &hooks.url);
        let texts = TwilioTexts::try_new(&settings).expect("settings are good");
        Self { sandbox, texts, hooks }
    }

    fn strike(&self, kind: FaultKind) {
        self.sandbox.switchboard().script(Fault::once(Provider::Twilio, "POST ", kind));
    }

    fn sent(&self) -> usize {
        self.sandbox.switchboard().objects("messages").map_or(0, |all| all.len())
    }

    /// What the webhooks tell, each believed.
    async fn told(&self) -> Vec<TwilioNotice> {
        assert_eq!(self.sandbox.switchboard().flush(Duration::from_secs(5)).await, 0);
        let public = &self.hooks.url;
        let understood = self.hooks.seen().into_iter().map(|seen| {
            let path = seen.line.split(' ').nth(1).expect("a path").to_owned();
            let received = Received {
                address: &format!("{public}{path}"),
                content_type: seen.header("content-type"),
                signature: seen.header("x-twilio-signature"),
                body: seen.body.as_bytes(),
            };
            assert_eq!(webhook::verify(&received, &[Secret::from(TOKEN)]), Ok(()));
            assert!(webhook::verify(&received, &[Secret::from("other")]).is_err());
            webhook::parse(&webhook::envelope(&path, received.content_type, received.body)).expect("a notice")
        });
        understood.collect()
    }
}

#[tokio::test]
async fn the_sandboxs_callbacks_are_believed_and_bound_to_our_text() {
    let world = World::start().await;
    let accepted = world.texts.send(&text(TO)).await;
    let Outcome::Done(accepted) = accepted else { panic!("{accepted:?}") };
    let statuses: Vec<_> = world
        .told()
        .await
        .into_iter()
        .map(|notice| match notice {
            TwilioNotice::Status(notice) => {
                assert_eq!((notice.text, notice.organization), (Some(Uuid::from_u128(5)), Some(Uuid::from_u128(1))));
                assert_eq!(notice.sid, accepted.id);
                notice.status
            }
            TwilioNotice::Inbound(notice) => panic!("{notice:?}"),
        })
        .collect();
    assert_eq!(statuses, [TextStatus::Sent, TextStatus::Delivered]);
    assert!(matches!(world.texts.text(&accepted.id).await, Outcome::Done(now) if now.status == TextStatus::Delivered));
}

#[tokio::test]
async fn a_time_out_after_commit_is_found_and_one_before_is_not() {
    let world = World::start().await;
    world.strike(FaultKind::TimeoutBeforeCommit { hold_ms: 50 });
    assert!(matches!(world.texts.send(&text(TO)).await, Outcome::Unknown { .. }));
    assert_eq!((world.texts.find(TO, "K7Q2XM").await, world.sent()), (Outcome::Done(None), 0));
    world.strike(FaultKind::TimeoutAfterCommit { hold_ms: 50 });
    assert!(matches!(world.texts.send(&text(TO)).await, Outcome::Unknown { .. }));
    assert!(matches!(world.texts.find(TO, "K7Q2XM").await, Outcome::Done(Some(_))));
    for kind in [FaultKind::Truncate, FaultKind::Garble] {
        world.strike(kind);
        assert!(matches!(world.texts.send(&text(TO)).await, Outcome::Unknown { .. }));
    }
    world.strike(FaultKind::ServerError);
    assert!(matches!(world.texts.send(&text(TO)).await, Outcome::Unknown { .. }));
    world.strike(FaultKind::RateLimit { retry_after: 2 });
    assert!(
        matches!(world.texts.send(&text(TO)).await, Outcome::Retry { after, .. } if after == Duration::from_secs(2))
    );
    assert_eq!(world.sent(), 3);
}

#[tokio::test]
async fn the_sandboxs_stop_comes_in_as_answered_and_closes_the_number() {
    let world = World::start().await;
    assert!(matches!(world.texts.send(&text(TO)).await, Outcome::Done(_)));
    world.sandbox.switchboard().incoming_text(TO, "Stop ").expect("a text");
    let stop = world.told().await.into_iter().find_map(|notice| match notice {
        TwilioNotice::Inbound(notice) => Some(notice),
        TwilioNotice::Status(_) => None,
    });
    let stop = stop.expect("the text that came in");
    assert_eq!((stop.from.as_str(), stop.body.as_str(), stop.answered), (TO, "Stop ", Some(webhook::Answered::Stop)));
    assert_eq!(stop.service.as_deref(), Some(world.texts.sender()));
    let outcome = world.texts.send(&text(TO)).await;
    assert!(matches!(&outcome, Outcome::Refused(refused) if refused.code == "21610"), "{outcome:?}");
}
