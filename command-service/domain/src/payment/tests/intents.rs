//! What Stripe reports: merged monotonically, in any order, as often as it likes.

use proptest::prelude::*;

use super::*;

pub(super) fn report(state: IntentState) -> RecordIntent {
    RecordIntent {
        payment_id: PAYMENT,
        account: "acct_1".into(),
        intent: "pi_1".into(),
        client_secret: Some("pi_1_secret".into()),
        state,
        amount: 10_383,
        amount_received: if state == IntentState::Succeeded { 10_383 } else { 0 },
        currency: "usd".into(),
        charge: (state == IntentState::Succeeded).then(|| "ch_1".into()),
        card: None,
        decline: None,
        bank: None,
        settlement: None,
    }
}

pub(super) fn refused(charge: &str) -> RecordIntent {
    let decline = IntentDecline {
        code: "card_declined".into(),
        decline_code: Some("insufficient_funds".into()),
        advice: Some("try_again_later".into()),
    };
    RecordIntent { charge: Some(charge.into()), decline: Some(decline), ..report(IntentState::AwaitingMethod) }
}

fn declined(charge: &str) -> PaymentEvent {
    PaymentEvent::PaymentDeclined {
        code: "card_declined".into(),
        decline_code: Some("insufficient_funds".into()),
        advice: Some("try_again_later".into()),
        charge: Some(charge.into()),
        autopay_id: None,
    }
}

#[test]
fn the_answer_binds_the_intent() {
    given(submitting()).accepts(report(IntentState::AwaitingMethod), [bound()]);
    given(submitted()).ignores(report(IntentState::AwaitingMethod));
}

#[test]
fn a_webhook_before_the_answer_is_posted_once() {
    given(submitting()).accepts(report(IntentState::Succeeded), [bound(), success()]);
    given(succeeded()).ignores(report(IntentState::AwaitingMethod));
    let lost = PaymentEvent::PaymentOutcomeUnknown { cause: UnknownCause::Undecodable };
    given(with(submitting(), [lost])).accepts(report(IntentState::Succeeded), [bound(), success()]);
}

#[test]
fn progress_is_recorded_as_it_comes() {
    given(submitted()).accepts(report(IntentState::ActionRequired), [PaymentEvent::PaymentActionRequired {}]);
    given(submitted()).accepts(report(IntentState::Processing), [PaymentEvent::PaymentProcessing { bank: None }]);
    given(submitted()).accepts(report(IntentState::Succeeded), [success()]);
    given(submitted()).accepts(report(IntentState::Canceled), [canceled(CancelReason::AtProvider, true)]);
    let asked = with(submitted(), [cancellation(CancelReason::Requested)]);
    given(asked).accepts(report(IntentState::Canceled), [canceled(CancelReason::Requested, true)]);
}

#[test]
fn a_stale_report_after_success_changes_nothing() {
    for stale in [
        report(IntentState::Processing),
        report(IntentState::ActionRequired),
        report(IntentState::Canceled),
        refused("ch_0"),
        RecordIntent { amount: 1, ..report(IntentState::Processing) },
    ] {
        given(succeeded()).ignores(stale);
    }
}

#[test]
fn a_cancel_that_comes_too_late_leaves_the_payment_paid() {
    let asked = with(submitted(), [cancellation(CancelReason::Requested)]);
    given(asked).accepts(report(IntentState::Succeeded), [success()]);
}

#[test]
fn processing_can_still_fail_and_then_another_card_may_do() {
    let processing = with(submitted(), [PaymentEvent::PaymentProcessing { bank: None }]);
    given(processing.clone()).ignores(report(IntentState::AwaitingMethod));
    given(processing.clone()).ignores(report(IntentState::ActionRequired));
    given(processing.clone()).accepts(refused("ch_0"), [declined("ch_0")]);
    given(with(processing, [declined("ch_0")])).accepts(report(IntentState::Succeeded), [success()]);
}

#[test]
fn a_decline_is_told_once_and_the_next_one_again() {
    given(submitted()).accepts(refused("ch_0"), [declined("ch_0")]);
    let once = with(submitted(), [declined("ch_0")]);
    given(once.clone()).accepts(refused("ch_2"), [declined("ch_2")]);
    given(with(once, [declined("ch_2")])).ignores(refused("ch_0"));
}

#[test]
fn an_amount_or_currency_that_differs_is_quarantined() {
    let less = RecordIntent { amount_received: 10_000, ..report(IntentState::Succeeded) };
    given(submitted()).accepts(less.clone(), [quarantined(10_000, "usd")]);
    given(submitting()).accepts(less, [bound(), quarantined(10_000, "usd")]);
    let euros = RecordIntent { currency: "eur".into(), ..report(IntentState::Succeeded) };
    given(submitted()).accepts(euros, [quarantined(10_383, "eur")]);
    let asked_other = RecordIntent { amount: 1, ..report(IntentState::AwaitingMethod) };
    given(submitted()).accepts(asked_other, [quarantined(1, "usd")]);
    let capitals = RecordIntent { currency: "USD".into(), ..report(IntentState::Succeeded) };
    given(submitted()).accepts(capitals, [success()]);
}

#[test]
fn nothing_is_booked_after_a_quarantine() {
    given(with(submitted(), [quarantined(1, "usd")])).ignores(report(IntentState::Succeeded));
}

#[test]
fn a_report_about_another_payment_is_refused() {
    let other_account = RecordIntent { account: "acct_2".into(), ..report(IntentState::Succeeded) };
    let other_intent = RecordIntent { intent: "pi_2".into(), ..report(IntentState::Succeeded) };
    given(submitted()).refuses(other_account.clone(), PaymentRefusal::OtherIntent);
    given(submitting()).refuses(other_account.clone(), PaymentRefusal::OtherIntent);
    given(succeeded()).refuses(other_account, PaymentRefusal::OtherIntent);
    given(submitted()).refuses(other_intent, PaymentRefusal::OtherIntent);
    given(requested()).refuses(report(IntentState::Succeeded), PaymentRefusal::OtherIntent);
    given([]).refuses(report(IntentState::Succeeded), PaymentRefusal::NotFound);
}

#[test]
fn only_money_brings_back_a_payment_that_was_given_up() {
    let over = with(submitting(), [canceled(rejected(), true)]);
    for late in [
        report(IntentState::AwaitingMethod),
        report(IntentState::ActionRequired),
        report(IntentState::Processing),
        report(IntentState::Canceled),
        refused("ch_0"),
    ] {
        given(over.clone()).ignores(late);
    }
    given(over.clone()).accepts(report(IntentState::Succeeded), [bound(), success()]);
    assert_eq!(state::<Payment>(with(over, [bound()])).phase, Phase::Canceled);
}

#[test]
fn an_answer_without_a_secret_says_so() {
    let silent = RecordIntent { client_secret: None, ..report(IntentState::AwaitingMethod) };
    let bound = PaymentEvent::PaymentSubmitted { intent: "pi_1".into(), client_secret: Sealed::Erased };
    given(submitting()).accepts(silent, [bound]);
}

fn settlement() -> Settlement {
    Settlement {
        balance_transaction: "txn_1".into(),
        fee: 331,
        net: 10_052,
        currency: "usd".into(),
        available_at: Some(instant("2026-03-03T00:00:00Z")),
    }
}

fn settled() -> PaymentEvent {
    PaymentEvent::PaymentSettled {
        property_id: PROPERTY,
        stripe_account_id: ACCOUNT,
        balance_transaction: "txn_1".into(),
        gross: usd(10_383),
        fee: usd(331),
        net: usd(10_052),
        available_at: Some(instant("2026-03-03T00:00:00Z")),
    }
}

fn with_settlement(settlement: Settlement) -> RecordIntent {
    RecordIntent { settlement: Some(settlement), ..report(IntentState::Succeeded) }
}

#[test]
fn what_stripe_kept_is_booked_once_whenever_it_is_learnt() {
    given(submitted()).accepts(with_settlement(settlement()), [success(), settled()]);
    given(succeeded()).accepts(with_settlement(settlement()), [settled()]);
    let other = Settlement { balance_transaction: "txn_2".into(), ..settlement() };
    given(with(succeeded(), [settled()])).ignores(with_settlement(other));
}

#[test]
fn what_does_not_add_up_is_left_to_the_nightly_comparison() {
    for odd in [
        Settlement { fee: 332, ..settlement() },
        Settlement { currency: "eur".into(), ..settlement() },
        Settlement { currency: "xts".into(), ..settlement() },
        Settlement { net: i64::MAX, ..settlement() },
    ] {
        given(submitted()).accepts(with_settlement(odd.clone()), [success()]);
        given(succeeded()).ignores(with_settlement(odd));
    }
    let stale = RecordIntent { settlement: Some(settlement()), ..report(IntentState::Processing) };
    given(succeeded()).ignores(stale);
}

#[test]
fn the_bank_account_is_remembered_with_the_success() {
    let bank = events::payment::BankSummary {
        bank_name: Some("Test Bank".into()),
        last4: "6789".into(),
        account_type: Some("checking".into()),
    };
    let report = RecordIntent { bank: Some(bank.clone()), ..report(IntentState::Succeeded) };
    let success = PaymentEvent::PaymentSucceeded {
        invoice_id: INVOICE,
        amount: usd(10_000),
        charge: Some("ch_1".into()),
        card: None,
        bank: Some(bank.clone()),
        autopay_id: None,
    };
    given(submitted()).accepts(report, [success.clone()]);
    assert_eq!(state::<Payment>(with(submitted(), [success])).bank, Some(bank));
}

#[test]
fn a_report_that_was_written_before_settlements_were_known_still_reads() {
    let old = serde_json::json!({
        "payment_id": PAYMENT, "account": "acct_1", "intent": "pi_1", "client_secret": null, "state": "Succeeded",
        "amount": 10_383, "amount_received": 10_383, "currency": "usd", "charge": "ch_1", "card": null, "decline": null
    });
    given(submitted()).accepts(crate::testing::from::<RecordIntent>(old), [success()]);
    let old = serde_json::json!({ "payment_id": PAYMENT });
    given(requested()).facts(community()).accepts(crate::testing::from::<SubmitPayment>(old), submitting().pop());
}

fn reports() -> impl Strategy<Value = RecordIntent> {
    prop_oneof![
        Just(report(IntentState::AwaitingMethod)),
        Just(report(IntentState::ActionRequired)),
        Just(report(IntentState::Processing)),
        Just(report(IntentState::Canceled)),
        Just(report(IntentState::Succeeded)),
        (0..3_u8).prop_map(|charge| refused(&format!("ch_d{charge}"))),
    ]
}

proptest! {
    #[test]
    fn in_any_order_success_is_posted_once_and_is_the_end(reports in proptest::collection::vec(reports(), 1..20)) {
        let context = crate::testing::context(Facts::default());
        let mut payment = state::<Payment>(submitting());
        let reported = reports.iter().any(|report| report.state == IntentState::Succeeded);
        let mut posted = 0;
        for report in reports {
            let events = report.clone().decide(&payment, &context);
            let events = events.expect("reports about this payment are merged");
            for event in &events {
                payment.evolve(event);
                posted += i32::from(matches!(event, PaymentEvent::PaymentSucceeded { .. }));
            }
            prop_assert_eq!(report.decide(&payment, &context), Ok(vec![]));
        }
        prop_assert_eq!(posted, i32::from(reported));
        prop_assert_eq!(payment.phase == Phase::Succeeded, reported);
    }
}

#[test]
fn the_account_that_is_debited_is_told_while_the_bank_is_at_work() {
    let bank = events::payment::BankSummary {
        bank_name: Some("First Example Bank".into()),
        last4: "6789".into(),
        account_type: None,
    };
    let processing = RecordIntent { bank: Some(bank.clone()), ..report(IntentState::Processing) };
    given(submitted()).accepts(processing, [PaymentEvent::PaymentProcessing { bank: Some(bank) }]);
}
