//! The adapters against the sandbox: the same requests, answers, faults and webhooks as the whole product meets.

use std::time::Duration;

use chrono::Utc;
use events::payment::{FrozenIntent, PaymentMethodKind, UnknownCause};
use integrations::{
    ResendMail, ResendSettings, Secret, StripeGateway, StripeSettings,
    resend::webhook::{self as resend_webhook, ResendKind, SvixHeaders},
    stripe::webhook::{self as stripe_webhook, StripeObject},
};
use processes::ports::{IntentSnapshot, IntentStatus, Mail, Outcome, PaymentTags, RefundRequest, RefundStatus, Stripe};
use sandbox::{Fault, FaultKind, Provider, Sandbox, SandboxConfig, WebhookTarget};
use uuid::Uuid;

use crate::{
    resend::email,
    responder::{Reply, Responder},
};

pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub const PAYMENT: Uuid = Uuid::from_u128(2);

pub struct World {
    pub sandbox: Sandbox,
    pub stripe: StripeGateway,
    pub account: String,
}

impl World {
    /// A sandbox with one community whose account takes payments.
    pub async fn start() -> Self {
        crate::install_tls();
        let sandbox = Sandbox::start(SandboxConfig::default()).await.expect("a sandbox");
        let stripe = StripeGateway::try_new(&StripeSettings {
            api_base: format!("{}/stripe", sandbox.url()),
            secret_key: Secret::from("sk_test_platform"),
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_millis(700),
        });
        let stripe = stripe.expect("settings are good");
        let account = done(stripe.create_account("account:1", "Cedar Row", "US", Uuid::from_u128(6)).await);
        assert!(!account.charges_enabled && account.requirements_due, "{account:?}");
        let link =
            done(stripe.onboarding_link(&account.id, "https://hoa.example.com/a", "https://hoa.example.com/b").await);
        assert!(link.starts_with("http"), "{link}");
        sandbox.switchboard().finish_onboarding(&account.id).expect("the account is there");
        let account = done(stripe.account(&account.id).await);
        assert!(account.charges_enabled && !account.requirements_due, "{account:?}");
        Self { sandbox, stripe, account: account.id }
    }

    async fn create(&self, key: &str, amount: i64) -> Outcome<IntentSnapshot> {
        let request = FrozenIntent {
            account: self.account.clone(),
            amount,
            currency: "USD".to_owned(),
            idempotency_key: key.to_owned(),
            description: "Dues for unit 4".to_owned(),
            kind: PaymentMethodKind::Card,
            customer: None,
            payment_method: None,
            confirmation_token: None,
        };
        let tags = PaymentTags { organization: Uuid::from_u128(1), payment: PAYMENT, invoice: Uuid::from_u128(3) };
        self.stripe.create_payment_intent(&request, &tags).await
    }

    /// What Stripe's form does in the resident's browser.
    async fn confirm(&self, intent: &IntentSnapshot, method: &str) {
        let url = format!("{}/stripe/v1/payment_intents/{}/confirm", self.sandbox.url(), intent.id);
        let secret = intent.client_secret.as_deref().unwrap_or_default();
        let request =
            reqwest::Client::new().post(url).bearer_auth("pk_test_browser").header("Stripe-Account", &self.account);
        let form = [("client_secret", secret), ("payment_method", method), ("return_url", "https://hoa.example.com")];
        request.form(&form).send().await.expect("an answer");
    }

    pub fn strike(&self, matching: &str, kind: FaultKind) {
        self.sandbox.switchboard().script(Fault::once(Provider::Stripe, matching, kind));
    }
}

pub fn done<T: std::fmt::Debug>(outcome: Outcome<T>) -> T {
    match outcome {
        Outcome::Done(value) => value,
        other => panic!("not done: {other:?}"),
    }
}

#[tokio::test]
async fn a_payment_is_made_found_and_given_back() {
    let world = World::start().await;
    let created = done(world.create("invoice:1", 10_383).await);
    assert_eq!(
        (created.status, created.amount, created.payment),
        (IntentStatus::RequiresPaymentMethod, 10_383, Some(PAYMENT))
    );
    world.confirm(&created, "pm_card_visa").await;
    let paid = done(world.stripe.payment_intent(&world.account, &created.id).await);
    assert_eq!((paid.status, paid.amount_received, paid.currency.as_str()), (IntentStatus::Succeeded, 10_383, "USD"));
    assert_eq!(paid.card.as_ref().map(|card| (card.brand.as_str(), card.last4.as_str())), Some(("visa", "4242")));
    assert!(paid.charge.is_some());
    let since = Utc::now() - chrono::Duration::minutes(5);
    assert_eq!(done(world.stripe.find_payment_intent(&world.account, PAYMENT, since).await), Some(paid.clone()));
    assert_eq!(done(world.stripe.find_payment_intent(&world.account, Uuid::nil(), since).await), None);

    let ours = Uuid::from_u128(4);
    let request = RefundRequest {
        account: world.account.clone(),
        intent: paid.id.clone(),
        amount: 383,
        idempotency_key: "refund:1".to_owned(),
        refund: ours,
    };
    let refund = done(world.stripe.create_refund(&request).await);
    assert_eq!((refund.status, refund.amount, refund.refund), (RefundStatus::Succeeded, 383, Some(ours)));
    assert_eq!(done(world.stripe.find_refund(&world.account, &paid.id, ours).await), Some(refund.clone()));
    assert_eq!(done(world.stripe.refund(&world.account, &refund.id).await), refund);
    let more = RefundRequest { amount: 10_001, idempotency_key: "refund:2".to_owned(), ..request };
    assert!(matches!(world.stripe.create_refund(&more).await, Outcome::Refused(_)));
}

#[tokio::test]
async fn a_declined_card_is_told_and_another_one_helps() {
    let world = World::start().await;
    let created = done(world.create("invoice:1", 5_000).await);
    world.confirm(&created, "pm_card_visa_chargeDeclined").await;
    let declined = done(world.stripe.payment_intent(&world.account, &created.id).await);
    assert_eq!(declined.status, IntentStatus::RequiresPaymentMethod);
    assert_eq!(declined.decline.map(|decline| decline.code), Some("card_declined".to_owned()));
    world.confirm(&created, "pm_card_visa").await;
    assert_eq!(done(world.stripe.payment_intent(&world.account, &created.id).await).status, IntentStatus::Succeeded);
}

#[tokio::test]
async fn a_lost_answer_leaves_one_intent_that_a_repeat_and_a_look_up_both_find() {
    for (kind, expected) in [
        (FaultKind::TimeoutAfterCommit { hold_ms: 1_500 }, UnknownCause::TimedOut),
        (FaultKind::Truncate, UnknownCause::Undecodable),
        (FaultKind::Garble, UnknownCause::Undecodable),
    ] {
        let world = World::start().await;
        world.strike("POST /v1/payment_intents", kind.clone());
        let outcome = world.create("invoice:1", 5_000).await;
        assert!(matches!(outcome, Outcome::Unknown { cause, .. } if cause == expected), "{kind:?}: {outcome:?}");
        let since = Utc::now() - chrono::Duration::minutes(5);
        let found = done(world.stripe.find_payment_intent(&world.account, PAYMENT, since).await);
        let repeated = done(world.create("invoice:1", 5_000).await);
        assert_eq!(found.map(|intent| intent.id), Some(repeated.id), "{kind:?}");
        assert_eq!(world.sandbox.switchboard().objects("payment_intents").map(|all| all.len()), Some(1), "{kind:?}");
    }
}

#[tokio::test]
async fn an_answer_that_came_before_anything_happened_leaves_nothing() {
    let world = World::start().await;
    world.strike("POST /v1/payment_intents", FaultKind::RateLimit { retry_after: 3 });
    let limited = world.create("invoice:1", 5_000).await;
    assert!(matches!(limited, Outcome::Retry { after, .. } if after == Duration::from_secs(3)), "{limited:?}");
    world.strike("POST /v1/payment_intents", FaultKind::TimeoutBeforeCommit { hold_ms: 1_500 });
    let lost = world.create("invoice:2", 5_000).await;
    assert!(matches!(lost, Outcome::Unknown { cause: UnknownCause::TimedOut, .. }), "{lost:?}");
    world.strike("POST /v1/payment_intents", FaultKind::ServerError);
    let fault = world.create("invoice:3", 5_000).await;
    assert!(matches!(fault, Outcome::Unknown { cause: UnknownCause::ProviderError, .. }), "{fault:?}");
    let since = Utc::now() - chrono::Duration::minutes(5);
    assert_eq!(done(world.stripe.find_payment_intent(&world.account, PAYMENT, since).await), None);
}

#[tokio::test]
async fn a_key_is_one_request_and_one_request_only() {
    let world = World::start().await;
    let first = done(world.create("invoice:1", 5_000).await);
    assert_eq!(done(world.create("invoice:1", 5_000).await).id, first.id);
    let other = world.create("invoice:1", 5_001).await;
    assert!(matches!(&other, Outcome::Refused(refused) if refused.code == "idempotency_error"), "{other:?}");
    world.strike("POST /v1/payment_intents", FaultKind::Slow { ms: 400 });
    let (slow, hasty) = tokio::join!(world.create("invoice:2", 5_000), async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        world.create("invoice:2", 5_000).await
    });
    assert!(matches!(hasty, Outcome::Unknown { cause: UnknownCause::Conflict, .. }), "{hasty:?}");
    assert!(matches!(slow, Outcome::Done(_)), "{slow:?}");
}

#[tokio::test]
async fn an_account_that_left_is_unavailable() {
    let world = World::start().await;
    world.sandbox.switchboard().deauthorize(&world.account).expect("the account is there");
    let outcome = world.create("invoice:1", 5_000).await;
    assert!(matches!(&outcome, Outcome::Refused(refused) if refused.code == "account_unavailable"), "{outcome:?}");
    let outcome = world.stripe.account(&world.account).await;
    assert!(matches!(&outcome, Outcome::Refused(refused) if refused.code == "account_unavailable"), "{outcome:?}");
}

#[tokio::test]
async fn stripes_webhooks_are_believed_and_lead_to_our_payment() {
    let world = World::start().await;
    let receiver = Responder::start(vec![Reply::Answer(200, "", String::new()); 20]).await;
    let target = WebhookTarget { url: format!("{}/hooks", receiver.url), secret: SECRET.to_owned() };
    world.sandbox.switchboard().aim(Provider::Stripe, target);
    let created = done(world.create("invoice:1", 5_000).await);
    world.confirm(&created, "pm_card_visa").await;
    assert_eq!(world.sandbox.switchboard().flush(Duration::from_secs(5)).await, 0);
    let mut kinds = Vec::new();
    for request in receiver.seen() {
        let header = request.header("stripe-signature");
        let secrets = [Secret::from("whsec_old"), Secret::from(SECRET)];
        assert_eq!(stripe_webhook::verify(request.body.as_bytes(), header, &secrets, Utc::now()), Ok(()));
        assert!(stripe_webhook::verify(request.body.as_bytes(), header, &secrets[..1], Utc::now()).is_err());
        let notice = stripe_webhook::parse(request.body.as_bytes()).expect("an event");
        assert_eq!(notice.account.as_ref(), Some(&world.account));
        if notice.kind.starts_with("payment_intent.") {
            assert_eq!(notice.object, StripeObject::PaymentIntent { id: created.id.clone(), payment: Some(PAYMENT) });
        }
        kinds.push(notice.kind);
    }
    assert!(kinds.iter().any(|kind| kind == "payment_intent.succeeded"), "{kinds:?}");
}

#[tokio::test]
async fn an_email_goes_out_once_and_its_webhooks_lead_back_to_it() {
    crate::install_tls();
    let receiver = Responder::start(vec![Reply::Answer(200, "", String::new()); 20]).await;
    let target = WebhookTarget { url: format!("{}/hooks", receiver.url), secret: SECRET.to_owned() };
    let config = SandboxConfig { resend_webhooks: Some(target), ..SandboxConfig::default() };
    let sandbox = Sandbox::start(config).await.expect("a sandbox");
    let resend = ResendMail::try_new(&ResendSettings {
        api_base: format!("{}/resend", sandbox.url()),
        api_key: Secret::from("re_test"),
        connect_timeout: Duration::from_secs(2),
        timeout: Duration::from_secs(2),
    });
    let resend = resend.expect("settings are good");
    let message = processes::ports::OutgoingEmail { to: "ada@residents.example.org".to_owned(), ..email() };
    let id = done(resend.send(&message, "email:5").await);
    assert_eq!(done(resend.send(&message, "email:5").await), id);
    let other = processes::ports::OutgoingEmail { text: "another".to_owned(), ..message };
    let other = resend.send(&other, "email:5").await;
    assert!(matches!(&other, Outcome::Refused(refused) if refused.code == "invalid_idempotent_request"), "{other:?}");
    assert_eq!(sandbox.switchboard().objects("emails").map(|all| all.len()), Some(1));

    assert_eq!(sandbox.switchboard().flush(Duration::from_secs(5)).await, 0);
    let mut kinds = Vec::new();
    for request in receiver.seen() {
        let headers = SvixHeaders {
            id: request.header("svix-id"),
            timestamp: request.header("svix-timestamp"),
            signature: request.header("svix-signature"),
        };
        let verified = resend_webhook::verify(request.body.as_bytes(), &headers, &[Secret::from(SECRET)], Utc::now());
        assert_eq!(verified, Ok(()));
        let notice = resend_webhook::parse(request.body.as_bytes()).expect("an event");
        assert_eq!((notice.email_id, notice.message), (id.clone(), Some(email().reference)));
        assert!(notice.at.is_some());
        kinds.push(notice.kind);
    }
    assert!(kinds.contains(&ResendKind::Sent) && kinds.contains(&ResendKind::Delivered), "{kinds:?}");
}
