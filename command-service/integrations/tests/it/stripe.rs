//! What the Stripe adapter makes of every kind of answer, and what exactly it sends.

use std::time::Duration;

use chrono::{DateTime, Utc};
use events::payment::{CardSummary, FrozenIntent, PaymentMethodKind, UnknownCause};
use integrations::{Secret, SettingsError, StripeGateway, StripeSettings};
use processes::ports::{
    AccountSnapshot, Decline, IntentSnapshot, IntentStatus, Outcome, PaymentTags, RefundRequest, RefundSnapshot,
    RefundStatus, Stripe,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::responder::{Reply, Responder};

const PAYMENT: Uuid = Uuid::from_u128(2);
const REFUND: Uuid = Uuid::from_u128(4);

pub fn gateway(base: &str) -> StripeGateway {
    crate::install_tls();
    let settings = StripeSettings {
        api_base: base.to_owned(),
        secret_key: Secret::from("sk_test_hush"),
        connect_timeout: Duration::from_secs(2),
        timeout: Duration::from_millis(400),
    };
    StripeGateway::try_new(&settings).expect("settings are good")
}

pub fn frozen() -> FrozenIntent {
    FrozenIntent {
        account: "acct_1".to_owned(),
        amount: 10_383,
        currency: "USD".to_owned(),
        idempotency_key: "invoice:1".to_owned(),
        description: "Dues & fees, unit 4".to_owned(),
        kind: PaymentMethodKind::Card,
        customer: None,
        payment_method: None,
        confirmation_token: None,
    }
}

pub const fn tags() -> PaymentTags {
    PaymentTags { organization: Uuid::from_u128(1), payment: PAYMENT, invoice: Uuid::from_u128(3) }
}

pub fn intent_json(id: &str, status: &str, payment: Option<Uuid>) -> Value {
    json!({
        "id": id, "object": "payment_intent", "amount": 10383, "amount_capturable": 0, "amount_received": 0,
        "capture_method": "automatic", "confirmation_method": "automatic", "created": 1_700_000_000, "currency": "usd",
        "livemode": false, "metadata": payment.map_or_else(|| json!({}), |id| json!({"propty_payment": id})),
        "payment_method_types": ["card"], "status": status, "client_secret": format!("{id}_secret_x"),
    })
}

fn paid_json(id: &str) -> Value {
    let mut intent = intent_json(id, "succeeded", Some(PAYMENT));
    intent["amount_received"] = json!(10383);
    intent["latest_charge"] = json!({
        "id": "ch_1", "object": "charge", "amount": 10383, "amount_captured": 10383, "amount_refunded": 0,
        "billing_details": {}, "captured": true, "created": 1_700_000_001, "currency": "usd", "disputed": false,
        "livemode": false, "metadata": {}, "paid": true, "refunded": false, "status": "succeeded",
        "payment_method_details": {"type": "card", "card": {
            "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030, "funding": "credit",
        }},
    });
    intent
}

fn refund_json(id: &str, refund: Option<Uuid>) -> Value {
    json!({
        "id": id, "object": "refund", "amount": 500, "created": 1_700_000_000, "currency": "usd", "status": "succeeded",
        "metadata": refund.map_or_else(|| json!({}), |id| json!({"propty_refund": id})),
    })
}

fn list(data: &[Value], more: bool) -> Reply {
    Reply::json(200, &json!({"object": "list", "url": "/v1/payment_intents", "has_more": more, "data": data}))
}

fn error(status: u16, error: &Value) -> Reply {
    Reply::json(status, &json!({ "error": error }))
}

async fn create(reply: Reply) -> Outcome<IntentSnapshot> {
    let server = Responder::start([reply]).await;
    gateway(&server.url).create_payment_intent(&frozen(), &tags()).await
}

async fn read(reply: Reply) -> Outcome<IntentSnapshot> {
    let server = Responder::start([reply]).await;
    gateway(&server.url).payment_intent("acct_1", "pi_1").await
}

fn cause<T>(outcome: &Outcome<T>) -> Option<UnknownCause> {
    match outcome {
        Outcome::Unknown { cause, .. } => Some(*cause),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::Retry { .. } => None,
    }
}

fn code<T>(outcome: &Outcome<T>) -> Option<&str> {
    match outcome {
        Outcome::Refused(refused) => Some(&refused.code),
        Outcome::Done(_) | Outcome::Unknown { .. } | Outcome::Retry { .. } => None,
    }
}

fn after<T>(outcome: &Outcome<T>) -> Option<Duration> {
    match outcome {
        Outcome::Retry { after, .. } => Some(*after),
        Outcome::Done(_) | Outcome::Unknown { .. } | Outcome::Refused(_) => None,
    }
}

#[tokio::test]
async fn a_payment_intent_is_created_on_the_connected_account_under_our_key() {
    let server =
        Responder::start([Reply::json(200, &intent_json("pi_1", "requires_payment_method", Some(PAYMENT)))]).await;
    let outcome = gateway(&format!("{}/stripe/", server.url)).create_payment_intent(&frozen(), &tags()).await;
    let expected = IntentSnapshot {
        id: "pi_1".to_owned(),
        client_secret: Some("pi_1_secret_x".to_owned()),
        status: IntentStatus::RequiresPaymentMethod,
        amount: 10_383,
        amount_received: 0,
        currency: "USD".to_owned(),
        charge: None,
        method: None,
        kind: Some(PaymentMethodKind::Card),
        card: None,
        bank: None,
        decline: None,
        failure: None,
        booked: None,
        payment: Some(PAYMENT),
        created: DateTime::from_timestamp(1_700_000_000, 0).unwrap_or_default(),
    };
    assert_eq!(outcome, Outcome::Done(expected));
    let seen = server.seen();
    assert_eq!(seen[0].line, "POST /stripe/v1/payment_intents HTTP/1.1");
    for header in [
        "authorization: bearer sk_test_hush",
        "stripe-account: acct_1",
        "idempotency-key: invoice:1",
        "stripe-version: 2026-09-30.endive",
        "content-type: application/x-www-form-urlencoded",
    ] {
        assert!(seen[0].head.contains(header), "{header} in {}", seen[0].head);
    }
    let body = &seen[0].body;
    for field in [
        "amount=10383",
        "currency=usd",
        "Dues",
        "propty_payment",
        "propty_invoice",
        "propty_organization",
        "latest_charge",
    ] {
        assert!(body.contains(field), "{field} in {body}");
    }
    assert!(body.contains("automatic_payment_methods") && !body.contains("&payment_method_types"), "{body}");
    assert!(body.contains("allowed_payment_method_types") && !body.contains("confirm"), "{body}");
}

#[tokio::test]
async fn a_frozen_request_is_sent_byte_by_byte_the_same_every_time() {
    let reply = Reply::json(200, &intent_json("pi_1", "requires_payment_method", None));
    let server = Responder::start(vec![reply; 20]).await;
    for _ in 0..20 {
        let outcome = gateway(&server.url).create_payment_intent(&frozen(), &tags()).await;
        assert!(matches!(outcome, Outcome::Done(_)));
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 20);
    assert!(seen.iter().all(|request| request.body == seen[0].body));
}

#[tokio::test]
async fn a_paid_intent_tells_its_charge_and_card() {
    let Outcome::Done(intent) = read(Reply::json(200, &paid_json("pi_1"))).await else { panic!("not done") };
    let card = CardSummary {
        brand: "visa".to_owned(),
        last4: "4242".to_owned(),
        exp_month: 12,
        exp_year: 2030,
        funding: "credit".to_owned(),
    };
    assert_eq!(
        (intent.status, intent.charge.as_deref(), intent.card),
        (IntentStatus::Succeeded, Some("ch_1"), Some(card))
    );
}

#[tokio::test]
async fn a_card_number_in_place_of_four_digits_is_not_let_through() {
    let mut intent = paid_json("pi_1");
    intent["latest_charge"]["payment_method_details"]["card"]["last4"] = json!("4000000000000002");
    let Outcome::Done(intent) = read(Reply::json(200, &intent)).await else { panic!("not done") };
    assert_eq!(intent.card, None);
}

#[tokio::test]
async fn a_decline_and_a_status_of_the_future_are_told() {
    let mut intent = intent_json("pi_1", "awaiting_comet", None);
    intent["last_payment_error"] = json!({
        "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds", "advice_code": "try_again_later",
    });
    let Outcome::Done(intent) = read(Reply::json(200, &intent)).await else { panic!("not done") };
    let decline = Decline {
        code: "card_declined".to_owned(),
        decline_code: Some("insufficient_funds".to_owned()),
        advice: Some("try_again_later".to_owned()),
    };
    assert_eq!((intent.status, intent.decline), (IntentStatus::Unrecognized, Some(decline)));
}

#[tokio::test]
async fn what_may_have_happened_is_unknown_for_a_write() {
    assert_eq!(cause(&create(Reply::Silence).await), Some(UnknownCause::TimedOut));
    assert_eq!(cause(&create(Reply::HangUp).await), Some(UnknownCause::TimedOut));
    assert_eq!(cause(&create(Reply::Truncated(200)).await), Some(UnknownCause::Undecodable));
    assert_eq!(cause(&create(Reply::Answer(200, "", "<html>".to_owned())).await), Some(UnknownCause::Undecodable));
    assert_eq!(cause(&create(Reply::json(200, &json!({"id": "pi_1"}))).await), Some(UnknownCause::Undecodable));
    let in_use = error(409, &json!({"type": "idempotency_error", "code": "idempotency_key_in_use"}));
    assert_eq!(cause(&create(in_use).await), Some(UnknownCause::Conflict));
    for status in [500, 502, 503, 504, 408, 424, 302] {
        let outcome = create(Reply::Answer(status, "location: http://127.0.0.1:1/\r\n", "oops".to_owned())).await;
        assert_eq!(cause(&outcome), Some(UnknownCause::ProviderError), "{status}");
    }
}

#[tokio::test]
async fn a_read_that_was_lost_is_asked_again() {
    for reply in [Reply::Silence, Reply::HangUp, Reply::Truncated(200), Reply::Answer(500, "", String::new())] {
        let outcome = read(reply.clone()).await;
        assert!(after(&outcome).is_some(), "{reply:?}: {outcome:?}");
    }
    assert_eq!(cause(&read(Reply::json(200, &json!({"id": "pi_1"}))).await), Some(UnknownCause::Undecodable));
}

#[tokio::test]
async fn a_connection_that_is_refused_sent_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let outcome = gateway(&url).create_payment_intent(&frozen(), &tags()).await;
    assert!(after(&outcome).is_some(), "{outcome:?}");
}

#[tokio::test]
async fn a_rate_limit_is_obeyed() {
    let limited = json!({"error": {"type": "rate_limit_error", "code": "rate_limit"}}).to_string();
    let outcome = create(Reply::Answer(429, "retry-after: 7\r\n", limited)).await;
    assert_eq!(after(&outcome), Some(Duration::from_secs(7)));
    assert_eq!(
        after(&create(Reply::Answer(429, "retry-after: 99999999\r\n", String::new())).await),
        Some(Duration::from_secs(3600))
    );
    assert!(after(&create(Reply::Answer(429, "retry-after: soon\r\n", String::new())).await).is_some());
}

#[tokio::test]
async fn a_refusal_has_stripes_code_and_none_of_its_words() {
    let declined = json!({
        "type": "card_error", "code": "card_declined", "decline_code": "do_not_honor", "message": "Ada's card was declined",
    });
    let body = json!({ "error": declined }).to_string();
    let outcome = create(Reply::Answer(402, "request-id: req_123\r\n", body)).await;
    let Outcome::Refused(refused) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(refused.code, "card_declined");
    assert_eq!(refused.why, "402 card_error card_declined do_not_honor (request req_123)");

    let other_body = error(400, &json!({"type": "idempotency_error", "message": "Keys for idempotent requests"}));
    assert_eq!(code(&create(other_body).await), Some("idempotency_error"));
    let other_body = error(409, &json!({"type": "idempotency_error"}));
    assert_eq!(code(&create(other_body).await), Some("idempotency_error"));
    assert_eq!(code(&create(error(404, &json!({"code": "resource_missing"}))).await), Some("resource_missing"));
    assert_eq!(
        code(&create(error(400, &json!({"type": "invalid_request_error"}))).await),
        Some("invalid_request_error")
    );
    assert_eq!(code(&create(Reply::Answer(400, "", "<html>".to_owned())).await), Some("400"));
}

#[tokio::test]
async fn an_account_out_of_reach_is_told_apart() {
    assert_eq!(code(&create(error(403, &json!({"code": "account_invalid"}))).await), Some("account_unavailable"));
    assert_eq!(
        code(&create(error(401, &json!({"type": "invalid_request_error"}))).await),
        Some("platform_key_refused")
    );
    assert_eq!(code(&create(error(401, &json!({"code": "api_key_expired"}))).await), Some("platform_key_refused"));
}

#[tokio::test]
async fn a_payment_is_looked_up_through_all_pages_and_then_read_with_its_card() {
    let server = Responder::start([
        list(&[intent_json("pi_9", "succeeded", None), intent_json("pi_8", "canceled", Some(PAYMENT))], true),
        list(
            &[intent_json("pi_7", "succeeded", Some(PAYMENT)), intent_json("pi_6", "processing", Some(Uuid::nil()))],
            false,
        ),
        Reply::json(200, &paid_json("pi_7")),
    ])
    .await;
    let since: DateTime<Utc> = DateTime::from_timestamp(1_700_000_300, 0).unwrap_or_default();
    let outcome = gateway(&server.url).find_payment_intent("acct_1", PAYMENT, since).await;
    let Outcome::Done(Some(intent)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((intent.id.as_str(), intent.card.is_some()), ("pi_7", true));
    let seen = server.seen();
    assert!(seen[0].line.contains("1700000000") && seen[0].line.contains("limit=100"), "{}", seen[0].line);
    assert!(seen[1].line.contains("starting_after=pi_8"), "{}", seen[1].line);
    assert!(seen[2].line.starts_with("GET /v1/payment_intents/pi_7?"), "{}", seen[2].line);
    assert!(seen.iter().all(|request| request.head.contains("stripe-account: acct_1")));
}

#[tokio::test]
async fn a_payment_that_stripe_never_saw_is_not_found() {
    let server = Responder::start([list(&[intent_json("pi_9", "succeeded", None)], false)]).await;
    assert_eq!(gateway(&server.url).find_payment_intent("acct_1", PAYMENT, Utc::now()).await, Outcome::Done(None));
    let server = Responder::start([list(&[intent_json("pi_9", "succeeded", None)], true), Reply::HangUp]).await;
    let outcome = gateway(&server.url).find_payment_intent("acct_1", PAYMENT, Utc::now()).await;
    assert!(after(&outcome).is_some(), "half a list proves no absence: {outcome:?}");
}

#[tokio::test]
async fn a_refund_is_created_found_and_read() {
    let server = Responder::start([
        Reply::json(200, &refund_json("re_1", Some(REFUND))),
        list(&[refund_json("re_0", None)], true),
        list(&[refund_json("re_1", Some(REFUND))], false),
        Reply::json(200, &refund_json("re_1", Some(REFUND))),
    ])
    .await;
    let stripe = gateway(&server.url);
    let request = RefundRequest {
        account: "acct_1".to_owned(),
        intent: "pi_1".to_owned(),
        amount: 500,
        idempotency_key: "refund:1".to_owned(),
        refund: REFUND,
    };
    let expected = RefundSnapshot {
        id: "re_1".to_owned(),
        status: RefundStatus::Succeeded,
        amount: 500,
        refund: Some(REFUND),
        failure: None,
    };
    assert_eq!(stripe.create_refund(&request).await, Outcome::Done(expected.clone()));
    assert_eq!(stripe.find_refund("acct_1", "pi_1", REFUND).await, Outcome::Done(Some(expected.clone())));
    assert_eq!(stripe.refund("acct_1", "re_1").await, Outcome::Done(expected));
    let seen = server.seen();
    assert!(seen[0].body.contains("payment_intent=pi_1") && seen[0].body.contains("propty_refund"), "{}", seen[0].body);
    assert!(seen[0].head.contains("idempotency-key: refund:1"));
    assert!(seen[1].line.contains("payment_intent=pi_1"), "{}", seen[1].line);
    assert_eq!(seen[3].line, "GET /v1/refunds/re_1 HTTP/1.1");
}

#[tokio::test]
async fn an_account_is_opened_read_and_led_to_onboarding() {
    let account = json!({
        "id": "acct_1", "object": "account", "charges_enabled": false, "payouts_enabled": false, "details_submitted": true,
        "requirements": {"currently_due": ["external_account"], "past_due": [], "disabled_reason": "requirements.past_due"},
    });
    let link =
        json!({"object": "account_link", "created": 1, "expires_at": 2, "url": "https://connect.example.com/setup"});
    let server =
        Responder::start([Reply::json(200, &account), Reply::json(200, &account), Reply::json(200, &link)]).await;
    let stripe = gateway(&server.url);
    let expected = AccountSnapshot {
        id: "acct_1".to_owned(),
        charges_enabled: false,
        payouts_enabled: false,
        details_submitted: true,
        disabled_reason: Some("requirements.past_due".to_owned()),
        requirements_due: true,
    };
    let created = stripe.create_account("account:1", "Cedar Row", "US", Uuid::from_u128(6)).await;
    assert_eq!(created, Outcome::Done(expected.clone()));
    assert_eq!(stripe.account("acct_1").await, Outcome::Done(expected));
    let link = stripe.onboarding_link("acct_1", "https://hoa.example.com/done", "https://hoa.example.com/again").await;
    assert_eq!(link, Outcome::Done("https://connect.example.com/setup".to_owned()));
    let seen = server.seen();
    for field in ["country=US", "propty_account", "stripe_dashboard", "=full", "Cedar"] {
        assert!(seen[0].body.contains(field), "{field} in {}", seen[0].body);
    }
    assert!(!seen[0].body.contains("email"), "{}", seen[0].body);
    assert!(seen[2].body.contains("account_onboarding"), "{}", seen[2].body);
}

#[tokio::test]
async fn a_cancel_goes_out_under_its_key() {
    let server = Responder::start([Reply::json(200, &intent_json("pi_1", "canceled", None))]).await;
    let outcome = gateway(&server.url).cancel_payment_intent("acct_1", "pi_1", "cancel:1").await;
    assert!(matches!(outcome, Outcome::Done(IntentSnapshot { status: IntentStatus::Canceled, .. })), "{outcome:?}");
    let seen = server.seen();
    assert_eq!(seen[0].line, "POST /v1/payment_intents/pi_1/cancel HTTP/1.1");
    assert!(seen[0].head.contains("idempotency-key: cancel:1"));
}

#[tokio::test]
async fn ids_and_keys_that_are_none_are_refused_before_anything_is_sent() {
    let stripe = gateway("http://127.0.0.1:1");
    for id in ["", "pi_1/cancel", "../accounts", "pi_1?x=y", "pi_1\r\nX: y", "pi_é"] {
        assert_eq!(code(&stripe.payment_intent("acct_1", id).await), Some("invalid_id"), "{id}");
        assert_eq!(code(&stripe.payment_intent(id, "pi_1").await), Some("invalid_id"), "{id}");
    }
    assert_eq!(code(&stripe.cancel_payment_intent("acct_1", "pi_1", "").await), Some("invalid_key"));
    assert_eq!(code(&stripe.cancel_payment_intent("acct_1", "pi_1", &"k".repeat(256)).await), Some("invalid_key"));
}

#[test]
fn settings_that_cannot_work_are_refused_and_never_show_the_key() {
    crate::install_tls();
    let settings = |base: &str, key: &str| StripeSettings {
        api_base: base.to_owned(),
        secret_key: Secret::from(key),
        connect_timeout: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
    };
    for base in ["", "stripe", "ftp://example.com", "http://u:hush@example.com", "http://example.com?x=1"] {
        let problem = StripeGateway::try_new(&settings(base, "sk_test_1"));
        assert!(matches!(problem, Err(SettingsError::Address(..))), "{base}");
        assert!(!format!("{problem:?}").contains("hush"));
    }
    for key in ["", " ", "sk\ntest"] {
        assert!(matches!(
            StripeGateway::try_new(&settings("http://example.com", key)),
            Err(SettingsError::Credential(_))
        ));
    }
    assert!(
        !format!("{:?} {:?}", settings("http://example.com", "sk_hush"), gateway("http://example.com"))
            .contains("hush")
    );
}
