//! From the button to the badge.

use events::{
    Currency, PropertyEvent,
    resident::{ResidentStatus, Tenure},
    stripe_account::StripeAccountStatus,
};

use super::*;
use crate::testing::fixtures::{UNIT, account, community_of, property, property_in, resident};

fn enable(setup_id: SetupId) -> EnableAutopay {
    EnableAutopay { property_id: PROPERTY, resident_id: RESIDENT, setup_id, kind: PaymentMethodKind::Card }
}

fn update(setup_id: SetupId) -> UpdateAutopayMethod {
    UpdateAutopayMethod { property_id: PROPERTY, resident_id: RESIDENT, setup_id, kind: PaymentMethodKind::Card }
}

fn status(events: Vec<AutopayEvent>) -> Status {
    state::<Autopay>(events).status()
}

#[test]
fn autopay_begins_with_a_set_up_and_is_active_once_stripe_confirms_it() {
    given([]).facts(community()).accepts(enable(SETUP), [requested(SETUP, SetupPurpose::Enable)]);
    assert_eq!(status(vec![]), Status::None);
    assert_eq!(status(pending()), Status::SetupPending);
    given(pending()).accepts(confirmed(SETUP, "pm_1"), [activated(SETUP, card("pm_1"), None)]);
    let autopay = state::<Autopay>(active());
    assert_eq!(autopay.status(), Status::Active);
    assert_eq!(autopay.method(), Some(&card("pm_1")));
    assert_eq!(autopay.method_account(), Some(ACCOUNT));
    assert_eq!(autopay.owner(), Some((PROPERTY, RESIDENT)));
    assert_eq!(autopay.pending_setup(), None);
}

#[test]
fn each_property_has_an_autopay_of_its_own() {
    let elsewhere = events::PropertyId(Uuid::from_u128(0x11));
    assert_ne!(Autopay::id(PROPERTY, RESIDENT), Autopay::id(elsewhere, RESIDENT));
    assert_ne!(Autopay::id(PROPERTY, RESIDENT), Autopay::id(PROPERTY, events::ResidentId(Uuid::from_u128(0x31))));
}

#[test]
fn enabling_what_is_on_is_refused_and_a_repeat_is_not() {
    given(active()).facts(community()).ignores(enable(SETUP));
    given(active()).facts(community()).refuses(enable(NEW_SETUP), AutopayRefusal::EnabledAlready);
    given(dead()).facts(community()).refuses(enable(NEW_SETUP), AutopayRefusal::PausedAlready);
    let other_kind = EnableAutopay { kind: PaymentMethodKind::BankDebit, ..enable(SETUP) };
    given(pending()).facts(community()).refuses(other_kind, AutopayRefusal::SetupIdTaken);
    given(active()).facts(community()).refuses(update(SETUP), AutopayRefusal::SetupIdTaken);
}

#[test]
fn autopay_needs_a_home_and_a_stripe_account_that_takes_payments() {
    let refuses = |facts: Facts, why| given([]).facts(facts).refuses(enable(SETUP), why);
    refuses(Facts::default(), AutopayRefusal::NoSuchProperty);
    let homeless = Facts { resident: Some(state(resident().into_iter().take(1))), ..community() };
    refuses(homeless, AutopayRefusal::NotLivingThere);
    let inactive = events::ResidentEvent::ResidentStatusChanged { status: ResidentStatus::Inactive };
    refuses(
        Facts { resident: Some(state(with(resident(), [inactive]))), ..community() },
        AutopayRefusal::NotLivingThere,
    );
    let elsewhere = events::ResidentEvent::ResidentMovedIn {
        property_id: events::PropertyId(Uuid::from_u128(0x11)),
        unit_id: UNIT,
        tenure: Tenure::Owner,
        on: day("2026-01-01"),
    };
    let elsewhere = Facts { resident: Some(state([resident().remove(0), elsewhere])), ..community() };
    refuses(elsewhere, AutopayRefusal::NotLivingThere);
    refuses(Facts { property: Some(state([property()])), ..community() }, AutopayRefusal::NoStripeAccount);
    let restricted = events::StripeAccountEvent::StripeAccountStatusChanged { status: StripeAccountStatus::Restricted };
    let restricted = Facts { stripe_account: Some(state(with(account(), [restricted]))), ..community() };
    refuses(restricted, AutopayRefusal::StripeAccountNotReady);
}

#[test]
fn bank_debits_are_for_us_dollars() {
    let by_bank = EnableAutopay { kind: PaymentMethodKind::BankDebit, ..enable(SETUP) };
    let canadian = community_of(property_in("America/Toronto", Currency::CAD));
    given([]).facts(canadian).refuses(by_bank.clone(), AutopayRefusal::NoBankDebit);
    let event = wished(SETUP, SetupPurpose::Enable, Wish { kind: PaymentMethodKind::BankDebit, ..WISH });
    given([]).facts(community()).accepts(by_bank, [event]);
}

#[test]
fn a_webhook_that_comes_before_the_answer_is_completed_by_it() {
    let begun = vec![requested(SETUP, SetupPurpose::Enable)];
    given(begun.clone()).accepts(report(SETUP, SetupState::AwaitingMethod), [submitted(SETUP, None)]);
    let answer =
        RecordSetup { client_secret: Some("seti_1_secret".into()), ..report(SETUP, SetupState::AwaitingMethod) };
    let hinted = with(begun.clone(), [submitted(SETUP, None)]);
    given(hinted).accepts(answer.clone(), [submitted(SETUP, Some("seti_1_secret"))]);
    // Even success can be faster than the answer; then nobody needs the secret any more.
    given(begun.clone())
        .accepts(confirmed(SETUP, "pm_1"), [submitted(SETUP, None), activated(SETUP, card("pm_1"), None)]);
    given(with(begun, [submitted(SETUP, None), activated(SETUP, card("pm_1"), None)])).ignores(answer);
}

#[test]
fn what_the_bank_wants_is_told_once_and_stale_words_change_nothing() {
    let asked = |microdeposits| AutopayEvent::AutopaySetupActionRequired { setup_id: SETUP, microdeposits };
    given(pending()).accepts(report(SETUP, SetupState::ActionRequired), [asked(false)]);
    given(pending()).accepts(report(SETUP, SetupState::Microdeposits), [asked(true)]);
    given(with(pending(), [asked(false)])).accepts(report(SETUP, SetupState::Microdeposits), [asked(true)]);
    given(pending()).ignores(report(SETUP, SetupState::Processing));
    for stale in [
        SetupState::AwaitingMethod,
        SetupState::ActionRequired,
        SetupState::Microdeposits,
        SetupState::Processing,
        SetupState::Failed,
        SetupState::Canceled,
    ] {
        given(active()).ignores(report(SETUP, stale));
    }
    assert_eq!(status(with(pending(), [asked(true)])), Status::SetupPending);
}

#[test]
fn a_set_up_that_fails_leaves_no_autopay_and_may_begin_again() {
    let failure = |code: &str| AutopayEvent::AutopaySetupFailed { setup_id: SETUP, code: code.into() };
    let fail = FailSetup { autopay_id: autopay_id(), setup_id: SETUP, code: "rejected".into() };
    given(pending()).accepts(fail.clone(), [failure("rejected")]);
    given(active()).ignores(fail);
    given(pending()).accepts(report(SETUP, SetupState::Canceled), [failure("canceled")]);
    let with_code = RecordSetup { code: Some("expired".into()), ..report(SETUP, SetupState::Failed) };
    given(pending()).accepts(with_code, [failure("expired")]);
    let over = with(pending(), [failure("rejected")]);
    assert_eq!(status(over.clone()), Status::None);
    given(over.clone()).ignores(report(SETUP, SetupState::ActionRequired));
    given(over.clone()).facts(community()).accepts(enable(NEW_SETUP), [requested(NEW_SETUP, SetupPurpose::Enable)]);
    // Stripe's confirmation is stronger than what was thought before.
    given(over).accepts(confirmed(SETUP, "pm_1"), [activated(SETUP, card("pm_1"), None)]);
}

#[test]
fn a_card_declined_in_the_form_may_be_followed_by_another_but_deposits_that_fail_end_it() {
    let again = RecordSetup { code: Some("card_declined".into()), ..report(SETUP, SetupState::AwaitingMethod) };
    given(pending()).ignores(again);
    let asked = AutopayEvent::AutopaySetupActionRequired { setup_id: SETUP, microdeposits: true };
    let code = "payment_method_microdeposit_verification_attempts_exceeded";
    let over = RecordSetup { code: Some(code.into()), ..report(SETUP, SetupState::AwaitingMethod) };
    let failure = AutopayEvent::AutopaySetupFailed { setup_id: SETUP, code: code.into() };
    given(with(pending(), [asked])).accepts(over, [failure]);
}

#[test]
fn the_newest_set_up_is_the_one_that_counts() {
    let newer = with(pending(), [requested(NEW_SETUP, SetupPurpose::Enable)]);
    given(pending()).facts(community()).accepts(enable(NEW_SETUP), [requested(NEW_SETUP, SetupPurpose::Enable)]);
    given(newer.clone()).ignores(confirmed(SETUP, "pm_1"));
    given(newer.clone()).ignores(report(SETUP, SetupState::Failed));
    given(newer).ignores(FailSetup { autopay_id: autopay_id(), setup_id: SETUP, code: "late".into() });
    given(pending()).refuses(confirmed(NEW_SETUP, "pm_1"), AutopayRefusal::NoSuchSetup);
    given([]).refuses(confirmed(SETUP, "pm_1"), AutopayRefusal::NotFound);
}

#[test]
fn a_report_about_another_intent_or_without_the_method_is_refused() {
    let other = RecordSetup { setup_intent: "seti_2".into(), ..confirmed(SETUP, "pm_1") };
    given(pending()).refuses(other, AutopayRefusal::OtherIntent);
    let other = RecordSetup { account: "acct_2".into(), ..confirmed(SETUP, "pm_1") };
    given(pending()).refuses(other, AutopayRefusal::OtherIntent);
    given(pending()).refuses(report(SETUP, SetupState::Succeeded), AutopayRefusal::NoMethodReported);
}

#[test]
fn the_old_method_serves_until_the_new_one_is_confirmed() {
    let updating = with(active(), [requested(NEW_SETUP, SetupPurpose::Update)]);
    given(active()).facts(community()).accepts(update(NEW_SETUP), [requested(NEW_SETUP, SetupPurpose::Update)]);
    let autopay = state::<Autopay>(updating.clone());
    assert_eq!((autopay.status(), autopay.method()), (Status::Active, Some(&card("pm_1"))));
    let failure = AutopayEvent::AutopaySetupFailed { setup_id: NEW_SETUP, code: "canceled".into() };
    assert_eq!(status(with(updating.clone(), [failure])), Status::Active);
    let replaced = [submitted(NEW_SETUP, None), activated(NEW_SETUP, card("pm_2"), Some("pm_1"))];
    given(updating).accepts(confirmed(NEW_SETUP, "pm_2"), replaced);
    for off in [vec![], pending(), with(active(), [cancelled()])] {
        given(off).facts(community()).refuses(update(NEW_SETUP), AutopayRefusal::NotEnabled);
    }
}

#[test]
fn a_new_method_ends_any_pause_and_charges_what_waited() {
    let updating = with(dead(), [requested(NEW_SETUP, SetupPurpose::Update), submitted(NEW_SETUP, None)]);
    assert_eq!(status(updating.clone()), Status::Paused);
    given(updating).accepts(
        confirmed(NEW_SETUP, "pm_2"),
        [activated(NEW_SETUP, card("pm_2"), Some("pm_1")), resumed(ResumeReason::NewMethod, &[INVOICE])],
    );
}

#[test]
fn reactivating_takes_the_present_method_where_it_can_be_charged() {
    given(paused_for_invoice())
        .facts(community())
        .accepts(reactivate(None), [resumed(ResumeReason::Reactivated, &[INVOICE])]);
    given(dead()).facts(community()).refuses(reactivate(None), AutopayRefusal::NewMethodRequired);
    given(dead())
        .facts(community())
        .accepts(reactivate(Some(NEW_SETUP)), [requested(NEW_SETUP, SetupPurpose::Reactivate)]);
    given(active()).facts(community()).ignores(reactivate(None));
    given(active()).facts(community()).refuses(reactivate(Some(NEW_SETUP)), AutopayRefusal::NotPaused);
    for off in [vec![], pending(), with(active(), [cancelled()])] {
        given(off.clone()).facts(community()).refuses(reactivate(None), AutopayRefusal::NotEnabled);
        given(off).facts(community()).refuses(reactivate(Some(NEW_SETUP)), AutopayRefusal::NotEnabled);
    }
}

#[test]
fn a_method_of_an_account_that_the_property_left_is_not_reactivated() {
    let moved = PropertyEvent::StripeAccountAssigned { stripe_account_id: OTHER_ACCOUNT };
    let facts = Facts { property: Some(state([property(), moved])), ..community() };
    given(paused_for_invoice()).facts(facts).refuses(reactivate(None), AutopayRefusal::NewMethodRequired);
}

#[test]
fn autopay_is_of_one_resident_in_one_property() {
    let scope = crate::Command::scope(&enable(SETUP), &Autopay::default());
    assert_eq!(scope, crate::Scope::property(PROPERTY).and_resident(RESIDENT));
    assert_eq!(crate::Aggregate::scope(&state::<Autopay>(active())), scope);
    assert_eq!(crate::Aggregate::scope(&Autopay::default()), crate::Scope::default());
}
