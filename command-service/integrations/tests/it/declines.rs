//! An off-session decline comes with its intent, whatever else is wrong with the answer.

use events::payment::{PaymentMethodKind, UnknownCause};
use processes::ports::{Decline, IntentMethod, IntentStatus, Outcome, Stripe};
use sandbox::FaultKind;
use serde_json::{Value, json};

use crate::{
    autopay::off_session,
    contract::{World, done},
    responder::{Reply, Responder},
    stripe::{frozen, gateway, intent_json, tags},
};

async fn card(world: &World) -> (String, IntentMethod) {
    let (customer, kept) = world.keep(PaymentMethodKind::Card, "pm_card_visa").await;
    let with = off_session(&customer, &kept);
    (kept.method.map(|method| method.id).unwrap_or_default(), with)
}

#[tokio::test]
async fn a_decline_is_done_and_tells_everything() {
    let world = World::start().await;
    let (method, with) = card(&world).await;
    for (like, code, decline_code, advice) in [
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds", "try_again_later"),
        ("pm_card_chargeDeclinedLostCard", "card_declined", "lost_card", "do_not_try_again"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card", "confirm_card_data"),
        ("pm_card_authenticationRequired", "authentication_required", "authentication_required", "try_again_later"),
    ] {
        world.sandbox.switchboard().behave(&method, like, Some(1)).expect("a method");
        let declined = done(world.charge(&format!("invoice:{like}"), &with).await);
        assert_eq!(declined.status, IntentStatus::RequiresPaymentMethod, "{like}");
        let expected = Decline {
            code: code.to_owned(),
            decline_code: Some(decline_code.to_owned()),
            advice: Some(advice.to_owned()),
        };
        assert_eq!(declined.decline, Some(expected));
        assert_eq!(declined.method.as_ref(), Some(&method), "the error still names the method");
        assert_eq!(declined.card.map(|card| card.last4), Some("4242".to_owned()));
        assert!(declined.charge.is_some() && declined.failure.is_some_and(|failure| failure.network.is_some()));
        assert_eq!(done(world.charge(&format!("invoice:{like}"), &with).await).id, declined.id, "the key replays it");
    }
    assert_eq!(done(world.charge("invoice:good", &with).await).status, IntentStatus::Succeeded);
}

#[tokio::test]
async fn a_decline_whose_answer_is_lost_is_found_by_its_key() {
    for (fault, cause) in [
        (FaultKind::Garble, UnknownCause::Undecodable),
        (FaultKind::Truncate, UnknownCause::Undecodable),
        (FaultKind::TimeoutAfterCommit { hold_ms: 1_500 }, UnknownCause::TimedOut),
    ] {
        let world = World::start().await;
        let (method, with) = card(&world).await;
        world.sandbox.switchboard().behave(&method, "pm_card_chargeDeclined", None).expect("a method");
        world.strike("POST /v1/payment_intents", fault.clone());
        let lost = world.charge("invoice:1", &with).await;
        assert!(matches!(&lost, Outcome::Unknown { cause: seen, .. } if *seen == cause), "{fault:?}: {lost:?}");
        let declined = done(world.charge("invoice:1", &with).await);
        assert!(declined.decline.is_some(), "{fault:?}");
        assert_eq!(world.sandbox.switchboard().objects("payment_intents").map(|all| all.len()), Some(1));
    }
}

fn bank_debit() -> IntentMethod {
    IntentMethod::OffSession {
        kind: PaymentMethodKind::BankDebit,
        customer: "cus_1".to_owned(),
        method: "pm_1".to_owned(),
        mandate: Some("mandate_1".to_owned()),
    }
}

fn decline(intent: &Value) -> Reply {
    Reply::json(402, &json!({"error": {"type": "card_error", "code": "card_declined", "payment_intent": intent}}))
}

#[tokio::test]
async fn what_is_asked_for_a_charge_without_its_holder() {
    let intent = intent_json("pi_1", "processing", None);
    let server = Responder::start(vec![Reply::json(200, &intent); 2]).await;
    let stripe = gateway(&server.url);
    done(stripe.create_intent(&frozen(), &bank_debit(), &tags()).await);
    let token = IntentMethod::Token { kind: PaymentMethodKind::Card, token: "ctoken_1".to_owned(), customer: None };
    done(stripe.create_intent(&frozen(), &token, &tags()).await);
    let seen = server.seen();
    let off_session =
        ["customer=cus_1", "payment_method=pm_1", "off_session=true", "confirm=true", "mandate=mandate_1"];
    for field in off_session.into_iter().chain(["us_bank_account", "allow_redirects", "never", "balance_transaction"]) {
        assert!(seen[0].body.contains(field), "{field} in {}", seen[0].body);
    }
    for field in ["confirmation_token=ctoken_1", "confirm=true", "=card", "never"] {
        assert!(seen[1].body.contains(field), "{field} in {}", seen[1].body);
    }
    assert!(!seen[1].body.contains("off_session"), "{}", seen[1].body);
}

#[tokio::test]
async fn a_decline_whose_intent_cannot_be_read_is_read_by_itself() {
    let mut declined = intent_json("pi_1", "requires_payment_method", None);
    declined["last_payment_error"] = json!({"type": "card_error", "code": "card_declined"});
    let server = Responder::start([decline(&json!({"id": "pi_1"})), Reply::json(200, &declined)]).await;
    let seen = done(gateway(&server.url).create_intent(&frozen(), &bank_debit(), &tags()).await);
    assert_eq!(
        (seen.id.as_str(), seen.decline.map(|decline| decline.code)),
        ("pi_1", Some("card_declined".to_owned()))
    );
    assert!(server.seen()[1].line.starts_with("GET /v1/payment_intents/pi_1?"), "{}", server.seen()[1].line);

    let server = Responder::start([decline(&json!({"id": "pi_1"})), Reply::HangUp]).await;
    let unread = gateway(&server.url).create_intent(&frozen(), &bank_debit(), &tags()).await;
    assert!(matches!(unread, Outcome::Unknown { cause: UnknownCause::Undecodable, .. }), "{unread:?}");
}

#[tokio::test]
async fn ids_that_are_none_stay_out_of_the_request() {
    let stripe = gateway("http://127.0.0.1:1");
    let with = IntentMethod::Token { kind: PaymentMethodKind::Card, token: "ctoken_1&x=y".to_owned(), customer: None };
    let outcome = stripe.create_intent(&frozen(), &with, &tags()).await;
    assert!(matches!(&outcome, Outcome::Refused(refused) if refused.code == "invalid_id"), "{outcome:?}");
}
