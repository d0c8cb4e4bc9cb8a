//! Kept methods against the sandbox: customers, setup intents, off-session charges, tokens, mandates.

use events::payment::{FrozenIntent, PaymentMethodKind, UnknownCause};
use integrations::stripe::webhook::{self, StripeObject};
use processes::ports::{
    CustomerTags, IntentMethod, IntentSnapshot, IntentStatus, Outcome, PaymentTags, SetupRequest, SetupSnapshot,
    SetupState, SetupTags, Stripe, StripeMethods,
};
use sandbox::{FaultKind, Provider, WebhookTarget};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    contract::{PAYMENT, SECRET, World, done},
    responder::{Reply, Responder},
};

const SETUP: Uuid = Uuid::from_u128(11);
const ENROLLMENT: Uuid = Uuid::from_u128(12);

impl World {
    pub async fn customer(&self) -> String {
        let tags = CustomerTags {
            organization: Uuid::from_u128(1),
            resident: Uuid::from_u128(8),
            property: Uuid::from_u128(9),
        };
        done(self.stripe.create_customer(&self.account, "customer:1", &tags).await)
    }

    async fn begin(&self, customer: &str, kind: PaymentMethodKind) -> Outcome<SetupSnapshot> {
        let tags = SetupTags { organization: Uuid::from_u128(1), enrollment: ENROLLMENT, setup: SETUP };
        let request = SetupRequest {
            account: self.account.clone(),
            customer: customer.to_owned(),
            kind,
            idempotency_key: format!("setup:{kind:?}:{customer}"),
            tags,
        };
        self.stripe.create_setup_intent(&request).await
    }

    /// What Stripe's form does in the resident's browser.
    pub async fn browse(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let url = format!("{}/stripe/v1/{path}", self.sandbox.url());
        let request = reqwest::Client::new().post(url).bearer_auth("pk_test_browser");
        let answer = request.header("Stripe-Account", &self.account).form(form).send().await.expect("an answer");
        serde_json::from_slice(&answer.bytes().await.expect("a body")).unwrap_or_default()
    }

    /// A kept method: the customer and what Stripe tells of the setup.
    pub async fn keep(&self, kind: PaymentMethodKind, method: &str) -> (String, SetupSnapshot) {
        let customer = self.customer().await;
        let begun = done(self.begin(&customer, kind).await);
        let secret = begun.client_secret.as_deref().unwrap_or_default();
        let path = format!("setup_intents/{}/confirm", begun.id);
        self.browse(&path, &[("client_secret", secret), ("payment_method", method)]).await;
        (customer, done(self.stripe.setup_intent(&self.account, &begun.id).await))
    }

    pub async fn charge(&self, key: &str, with: &IntentMethod) -> Outcome<IntentSnapshot> {
        let request = FrozenIntent {
            account: self.account.clone(),
            amount: 10_000,
            currency: "USD".to_owned(),
            idempotency_key: key.to_owned(),
            description: "Dues".to_owned(),
            kind: with.kind(),
            customer: None,
            payment_method: None,
            confirmation_token: None,
        };
        let tags = PaymentTags { organization: Uuid::from_u128(1), payment: PAYMENT, invoice: Uuid::from_u128(3) };
        self.stripe.create_intent(&request, with, &tags).await
    }
}

pub fn off_session(customer: &str, setup: &SetupSnapshot) -> IntentMethod {
    let method = setup.method.as_ref().expect("a method");
    IntentMethod::OffSession {
        kind: method.kind.expect("a known kind"),
        customer: customer.to_owned(),
        method: method.id.clone(),
        mandate: setup.mandate.clone(),
    }
}

#[tokio::test]
async fn a_customer_is_made_once_and_carries_no_personal_data() {
    let world = World::start().await;
    assert_eq!(world.customer().await, world.customer().await);
    let customers = world.sandbox.switchboard().objects("customers").unwrap_or_default();
    assert_eq!(customers.len(), 1);
    let object = &customers[0]["object"];
    assert_eq!((&object["email"], &object["name"]), (&json!(null), &json!(null)));
    assert_eq!(object["metadata"]["propty_resident"], json!(Uuid::from_u128(8)));
}

#[tokio::test]
async fn a_card_is_kept_and_charged_off_the_session() {
    let world = World::start().await;
    let (customer, kept) = world.keep(PaymentMethodKind::Card, "pm_card_visa").await;
    assert_eq!((kept.state, kept.setup, kept.mandate.as_deref()), (SetupState::Succeeded, Some(SETUP), None));
    let method = kept.method.clone().expect("a method");
    assert_eq!(method.customer.as_ref(), Some(&customer));
    assert_eq!(method.card.as_ref().map(|card| card.last4.as_str()), Some("4242"));
    assert_eq!(done(world.stripe.payment_method(&world.account, &method.id).await), method);
    let paid = done(world.charge("invoice:1", &off_session(&customer, &kept)).await);
    assert_eq!((paid.status, paid.amount_received, &paid.method), (IntentStatus::Succeeded, 10_000, &Some(method.id)));
    let booked = paid.booked.clone().expect("booked");
    assert_eq!((booked.amount, booked.fee, booked.net, booked.currency.as_str()), (10_000, 320, 9_680, "USD"));
    assert_eq!(booked.source, paid.charge);
    let since = chrono::Utc::now() - chrono::Duration::minutes(5);
    let found = world.stripe.find_customers_intent(&world.account, &customer, PAYMENT, since).await;
    assert_eq!(done(found), Some(paid.clone()));
    assert_eq!(done(world.charge("invoice:1", &off_session(&customer, &kept)).await), paid);
}

#[tokio::test]
async fn a_bank_account_waits_for_its_deposits_and_then_for_its_days() {
    let world = World::start().await;
    let customer = world.customer().await;
    let begun = done(world.begin(&customer, PaymentMethodKind::BankDebit).await);
    assert_eq!((begun.state, &begun.method), (SetupState::AwaitingMethod, &None));
    let secret = begun.client_secret.clone().unwrap_or_default();
    let account = [
        ("client_secret", secret.as_str()),
        ("payment_method_data[type]", "us_bank_account"),
        ("payment_method_data[us_bank_account][account_number]", "000222222227"),
        ("payment_method_data[us_bank_account][routing_number]", "110000000"),
    ];
    world.browse(&format!("setup_intents/{}/confirm", begun.id), &account).await;
    let waiting = done(world.stripe.setup_intent(&world.account, &begun.id).await);
    assert_eq!(waiting.state, SetupState::MicrodepositsPending);
    assert!(waiting.verification_url.is_some());
    let told = [("client_secret", secret.as_str()), ("amounts[]", "32"), ("amounts[]", "45")];
    world.browse(&format!("setup_intents/{}/verify_microdeposits", begun.id), &told).await;
    let kept = done(world.stripe.setup_intent(&world.account, &begun.id).await);
    assert_eq!(kept.state, SetupState::Succeeded);
    let bank = kept.method.as_ref().and_then(|method| method.bank.clone()).expect("a bank");
    assert_eq!((bank.last4.as_str(), bank.account_type.as_deref()), ("2227", Some("checking")));
    let mandate = done(world.stripe.mandate(&world.account, kept.mandate.as_deref().unwrap_or_default()).await);
    assert!(mandate.active && Some(&mandate.method) == kept.method.as_ref().map(|method| &method.id));

    let debit = done(world.charge("invoice:1", &off_session(&customer, &kept)).await);
    assert_eq!((debit.status, debit.kind), (IntentStatus::Processing, Some(PaymentMethodKind::BankDebit)));
    assert_eq!(debit.bank, Some(bank));
    world.sandbox.switchboard().advance(4 * 86_400).expect("the clock moves");
    let failed = done(world.stripe.payment_intent(&world.account, &debit.id).await);
    assert_eq!(failed.status, IntentStatus::RequiresPaymentMethod);
    let failure = failed.failure.expect("a failure");
    assert_eq!((failure.code.as_deref(), failure.network.as_deref()), (Some("insufficient_funds"), Some("R01")));
}

#[tokio::test]
async fn a_setup_that_is_refused_says_why_and_can_be_given_up() {
    let world = World::start().await;
    let (_, refused) = world.keep(PaymentMethodKind::Card, "pm_card_chargeDeclinedExpiredCard").await;
    assert_eq!(refused.state, SetupState::AwaitingMethod);
    assert_eq!(refused.failure.as_ref().map(|failure| failure.code.as_str()), Some("expired_card"));
    let (_, asked) = world.keep(PaymentMethodKind::Card, "pm_card_authenticationRequired").await;
    assert_eq!(asked.id, refused.id, "the key made one");
    assert_eq!(asked.state, SetupState::ActionRequired);
    let given_up = done(world.stripe.cancel_setup_intent(&world.account, &asked.id, "cancel:1").await);
    assert_eq!(given_up.state, SetupState::Canceled);
}

#[tokio::test]
async fn a_lost_answer_leaves_one_setup_intent() {
    let world = World::start().await;
    let customer = world.customer().await;
    world.strike("POST /v1/setup_intents", FaultKind::TimeoutAfterCommit { hold_ms: 1_500 });
    let lost = world.begin(&customer, PaymentMethodKind::Card).await;
    assert!(matches!(lost, Outcome::Unknown { cause: UnknownCause::TimedOut, .. }), "{lost:?}");
    done(world.begin(&customer, PaymentMethodKind::Card).await);
    assert_eq!(world.sandbox.switchboard().objects("setup_intents").map(|all| all.len()), Some(1));
}

#[tokio::test]
async fn detaching_is_done_however_often_it_is_asked_for() {
    let world = World::start().await;
    let (customer, kept) = world.keep(PaymentMethodKind::Card, "pm_card_visa").await;
    let method = kept.method.clone().map(|method| method.id).unwrap_or_default();
    for key in ["detach:1", "detach:1", "detach:2"] {
        done(world.stripe.detach_payment_method(&world.account, &method, key).await);
    }
    done(world.stripe.detach_payment_method(&world.account, "pm_gone", "detach:3").await);
    assert_eq!(done(world.stripe.payment_method(&world.account, &method).await).customer, None);
    let refused = world.charge("invoice:1", &off_session(&customer, &kept)).await;
    assert!(
        matches!(&refused, Outcome::Refused(refused) if refused.code == "payment_method_unexpected_state"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_revoked_mandate_debits_nothing_more() {
    let world = World::start().await;
    let (customer, kept) = world.keep(PaymentMethodKind::BankDebit, "pm_usBankAccount_success").await;
    let mandate = kept.mandate.clone().unwrap_or_default();
    world.sandbox.switchboard().revoke_mandate(&mandate).expect("a mandate");
    assert!(!done(world.stripe.mandate(&world.account, &mandate).await).active);
    let refused = world.charge("invoice:1", &off_session(&customer, &kept)).await;
    assert!(
        matches!(&refused, Outcome::Refused(refused) if refused.code == "payment_intent_mandate_invalid"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_token_shows_its_card_and_pays_once() {
    let world = World::start().await;
    let shown = [("payment_method_data[type]", "card"), ("payment_method_data[card][number]", "4000056655665556")];
    let made = world.browse("confirmation_tokens", &shown).await;
    let id = made["id"].as_str().unwrap_or_default().to_owned();
    let token = done(world.stripe.confirmation_token(&world.account, &id).await);
    assert_eq!((token.kind, token.card_country.as_deref()), (Some(PaymentMethodKind::Card), Some("US")));
    assert_eq!(token.card.as_ref().map(|card| card.funding.as_str()), Some("debit"));
    assert!(token.usable(chrono::Utc::now()) && !token.usable(chrono::Utc::now() + chrono::Duration::hours(13)));
    let with = IntentMethod::Token { kind: PaymentMethodKind::Card, token: id.clone(), customer: None };
    let paid = done(world.charge("invoice:1", &with).await);
    assert_eq!((paid.status, paid.card.map(|card| card.last4)), (IntentStatus::Succeeded, Some("5556".to_owned())));
    let token = done(world.stripe.confirmation_token(&world.account, &id).await);
    assert!(token.used && !token.usable(chrono::Utc::now()));
    assert!(matches!(world.charge("invoice:2", &with).await, Outcome::Refused(_)));
}

#[tokio::test]
async fn the_webhooks_of_enrollments_lead_back_to_them() {
    let world = World::start().await;
    let receiver = Responder::start(vec![Reply::Answer(200, "", String::new()); 40]).await;
    let target = WebhookTarget { url: format!("{}/hooks", receiver.url), secret: SECRET.to_owned() };
    let board = world.sandbox.switchboard();
    board.aim(Provider::Stripe, target);
    let (customer, kept) = world.keep(PaymentMethodKind::BankDebit, "pm_usBankAccount_success").await;
    let (method, mandate) = (kept.method.map(|method| method.id).unwrap_or_default(), kept.mandate.unwrap_or_default());
    board.revoke_mandate(&mandate).expect("a mandate");
    board.detach_method(&method).expect("a method");
    assert_eq!(board.flush(std::time::Duration::from_secs(5)).await, 0);
    let notices: Vec<_> = receiver.seen().iter().filter_map(|seen| webhook::parse(seen.body.as_bytes()).ok()).collect();
    let of = |kind: &str| notices.iter().find(|notice| notice.kind == kind).map(|notice| notice.object.clone());
    let setup = StripeObject::SetupIntent { id: kept.id, setup: Some(SETUP), enrollment: Some(ENROLLMENT) };
    assert_eq!(of("setup_intent.succeeded"), Some(setup));
    let ended = StripeObject::Mandate { id: mandate, method: Some(method.clone()), active: false };
    assert_eq!(of("mandate.updated"), Some(ended));
    let gone = StripeObject::PaymentMethod { id: method, customer: Some(customer), detached: true, card: None };
    assert_eq!(of("payment_method.detached"), Some(gone));
}
