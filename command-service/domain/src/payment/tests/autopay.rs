//! Charges by autopay: nobody is there to look at the price or to try another card.

use events::payment::{BankSummary, FeeWaiver, FrozenIntent};
use proptest::prelude::*;

use super::{
    intents::{refused, report},
    *,
};
use crate::testing::fixtures::AUTOPAY;

fn charge(kind: PaymentMethodKind, funding: Option<&str>) -> StartAutopayPayment {
    StartAutopayPayment {
        payment_id: PAYMENT,
        autopay_id: AUTOPAY,
        invoice_id: INVOICE,
        amount: usd(10_000),
        kind,
        funding: funding.map(Into::into),
    }
}

fn by_card() -> StartAutopayPayment {
    charge(PaymentMethodKind::Card, Some("credit"))
}

fn offered(method: PaymentMethodKind, funding: Option<&str>, fee: i64, waiver: Option<FeeWaiver>) -> PaymentEvent {
    let fees = FeePolicy { mode: FeeMode::PassToResident, ..FeePolicy::STANDARD };
    PaymentEvent::PaymentQuoted {
        invoice_id: INVOICE,
        property_id: PROPERTY,
        resident_id: RESIDENT,
        stripe_account_id: ACCOUNT,
        method,
        amount: usd(10_000),
        fee: usd(fee),
        total: usd(10_000 + fee),
        fees,
        mode: fees.mode,
        expires_at: instant("2026-03-01T12:30:00Z"),
        confirmation_token: None,
        funding: funding.map(Into::into),
        waiver,
        autopay_id: Some(AUTOPAY),
    }
}

fn begun(quoted: PaymentEvent) -> Vec<PaymentEvent> {
    let autopay_id = Some(AUTOPAY);
    vec![quoted, PaymentEvent::PaymentRequested { invoice_id: INVOICE, amount: usd(10_000), autopay_id }]
}

fn started() -> Vec<PaymentEvent> {
    begun(offered(PaymentMethodKind::Card, Some("credit"), 383, None))
}

fn unattended() -> SubmitPayment {
    let method = OffSession { customer: "cus_1".into(), payment_method: "pm_1".into() };
    SubmitPayment { payment_id: PAYMENT, off_session: Some(method) }
}

fn frozen(kind: PaymentMethodKind) -> PaymentEvent {
    PaymentEvent::PaymentSubmitting {
        request: FrozenIntent {
            account: "acct_1".into(),
            amount: 10_383,
            currency: "usd".into(),
            idempotency_key: Payment::idempotency_key(INVOICE, PAYMENT),
            description: format!("Invoice {INVOICE}"),
            kind,
            customer: Some("cus_1".into()),
            payment_method: Some("pm_1".into()),
            confirmation_token: None,
        },
    }
}

fn called() -> Vec<PaymentEvent> {
    with(started(), [frozen(PaymentMethodKind::Card), bound()])
}

/// A bank debit of 103.83, so that the reports of the other tests fit it.
fn debiting() -> Vec<PaymentEvent> {
    let quoted = offered(PaymentMethodKind::BankDebit, None, 383, None);
    with(begun(quoted), [frozen(PaymentMethodKind::BankDebit), bound(), PaymentEvent::PaymentProcessing { bank: None }])
}

fn charged() -> PaymentEvent {
    PaymentEvent::PaymentSucceeded {
        invoice_id: INVOICE,
        amount: usd(10_000),
        charge: Some("ch_1".into()),
        card: None,
        bank: None,
        autopay_id: Some(AUTOPAY),
    }
}

pub(super) fn succeeded_by_bank() -> Vec<PaymentEvent> {
    with(debiting(), [charged()])
}

fn declined(code: &str, decline_code: Option<&str>, advice: Option<&str>, charge: Option<&str>) -> PaymentEvent {
    PaymentEvent::PaymentDeclined {
        code: code.into(),
        decline_code: decline_code.map(Into::into),
        advice: advice.map(Into::into),
        charge: charge.map(Into::into),
        autopay_id: Some(AUTOPAY),
    }
}

fn over(code: &str) -> PaymentEvent {
    cancellation(CancelReason::Declined { code: code.into() })
}

/// Declined for want of money, and to be canceled at Stripe.
fn broke() -> [PaymentEvent; 2] {
    let why = declined("card_declined", Some("insufficient_funds"), Some("try_again_later"), Some("ch_0"));
    [why, over("insufficient_funds")]
}

fn passing_on(invoice: Vec<InvoiceEvent>) -> Facts {
    Facts { property: Some(state(passing())), ..billed(invoice) }
}

#[test]
fn a_charge_is_priced_and_begun_in_one_step() {
    given([]).facts(passing_on(published())).accepts(by_card(), started());
    let debit = charge(PaymentMethodKind::Card, Some("debit"));
    let waiver = Some(FeeWaiver::Funding { funding: "debit".into() });
    let free = offered(PaymentMethodKind::Card, Some("debit"), 0, waiver);
    given([]).facts(passing_on(published())).accepts(debit, begun(free));
    let by_bank = offered(PaymentMethodKind::BankDebit, None, 101, None);
    given([]).facts(passing_on(published())).accepts(charge(PaymentMethodKind::BankDebit, None), begun(by_bank));
    let needs = by_card().needs(&Payment::default(), &billed(published()));
    assert_eq!(needs, [Need::Invoice(INVOICE), Need::Property(PROPERTY), Need::StripeAccount(ACCOUNT)]);
}

#[test]
fn the_last_look_is_at_the_whole_balance() {
    let part = InvoiceEvent::PaymentApplied {
        payment_id: OTHER_PAYMENT,
        resident_id: RESIDENT,
        amount: usd(4_000),
        balance: usd(6_000),
        source: events::invoice::PaymentSource::Online,
    };
    let changed = InvoiceRefusal::NotTheBalance { balance: usd(6_000) };
    let refusal = |why| PaymentRefusal::Invoice { why };
    let paid_in_part = passing_on(with(published(), [part]));
    given([]).facts(paid_in_part).refuses(by_card(), refusal(changed));
    let in_flight = passing_on(with(published(), [reserved()]));
    given([]).facts(in_flight).refuses(by_card(), refusal(InvoiceRefusal::PaymentInFlight));
    let given_up = InvoiceEvent::InvoiceWrittenOff { amount: usd(10_000), reason: crate::testing::from("gone") };
    let written_off = passing_on(with(published(), [given_up]));
    given([]).facts(written_off).refuses(by_card(), refusal(InvoiceRefusal::WrittenOff));
    let less = StartAutopayPayment { amount: usd(5_000), ..by_card() };
    let balance = InvoiceRefusal::NotTheBalance { balance: usd(10_000) };
    given([]).facts(passing_on(published())).refuses(less, refusal(balance));
    given([]).facts(passing_on(vec![])).refuses(by_card(), PaymentRefusal::NoSuchInvoice);
    let disconnected = events::StripeAccountEvent::StripeAccountDisconnected { at_provider: true };
    let account: StripeAccount = state(with(account(), [disconnected]));
    let gone = Facts { stripe_account: Some(account), ..passing_on(published()) };
    given([]).facts(gone).refuses(by_card(), PaymentRefusal::StripeAccountNotReady);
    let unassigned = Facts { property: Some(state([property()])), ..billed(published()) };
    given([]).facts(unassigned).refuses(by_card(), PaymentRefusal::NoStripeAccount);
}

#[test]
fn a_payment_belongs_to_autopay_or_to_somebody_who_pays() {
    given([quoted()]).facts(passing_on(published())).refuses(by_card(), PaymentRefusal::QuotedOtherwise);
    let other = StartAutopayPayment { autopay_id: events::AutopayId(Uuid::from_u128(9)), ..by_card() };
    given(started()).refuses(other, PaymentRefusal::QuotedOtherwise);
    given(called()).facts(passing_on(with(published(), [reserved()]))).ignores(by_card());
    given(started()).ignores(start());
}

#[test]
fn the_method_is_frozen_with_the_request_for_autopay_and_for_nobody_else() {
    given(started()).facts(community()).accepts(unattended(), [frozen(PaymentMethodKind::Card)]);
    given(started()).facts(community()).refuses(submit(), PaymentRefusal::OffSession);
    given(requested()).facts(community()).refuses(unattended(), PaymentRefusal::OffSession);
    given(called()).facts(community()).ignores(unattended());
}

#[test]
fn a_charge_goes_through_or_ends_with_the_first_decline() {
    given(called()).accepts(report(IntentState::Succeeded), [charged()]);
    given(called()).accepts(refused("ch_0"), broke());
    let declined = with(called(), broke());
    given(declined.clone()).ignores(refused("ch_2"));
    given(declined.clone()).ignores(report(IntentState::Processing));
    given(declined.clone()).ignores(report(IntentState::ActionRequired));
    given(declined.clone()).ignores(abandon(CancelReason::Expired));
    let reason = CancelReason::Declined { code: "insufficient_funds".into() };
    let ended =
        PaymentEvent::PaymentCanceled { invoice_id: INVOICE, reason, reserved: true, autopay_id: Some(AUTOPAY) };
    given(declined.clone()).accepts(report(IntentState::Canceled), [ended]);
    given(declined).accepts(report(IntentState::Succeeded), [charged()]);
}

#[test]
fn a_bank_that_wants_to_see_the_cardholder_has_declined() {
    let absent = [declined("authentication_required", None, None, None), over("authentication_required")];
    given(called()).accepts(report(IntentState::ActionRequired), absent.clone());
    given(with(called(), absent)).ignores(refused("ch_0"));
    let told = RecordIntent {
        decline: Some(IntentDecline { code: "authentication_required".into(), decline_code: None, advice: None }),
        ..report(IntentState::AwaitingMethod)
    };
    let why = declined("authentication_required", None, None, None);
    given(called()).accepts(told, [why, over("authentication_required")]);
}

#[test]
fn a_decline_does_not_ask_twice_for_what_is_being_canceled() {
    let asked = with(called(), [cancellation(CancelReason::Expired)]);
    let [why, _] = broke();
    given(asked).accepts(refused("ch_0"), [why]);
}

#[test]
fn a_bank_debit_processes_for_days_and_then_succeeds_or_fails() {
    given(debiting()).ignores(report(IntentState::Processing));
    given(debiting()).ignores(report(IntentState::AwaitingMethod));
    given(debiting()).ignores(report(IntentState::ActionRequired));
    let bank = BankSummary { bank_name: None, last4: "6789".into(), account_type: None };
    let told = RecordIntent { bank: Some(bank.clone()), ..report(IntentState::Succeeded) };
    let PaymentEvent::PaymentSucceeded { invoice_id, amount, charge, card, autopay_id, .. } = charged() else {
        panic!("a success")
    };
    let success = PaymentEvent::PaymentSucceeded { invoice_id, amount, charge, card, bank: Some(bank), autopay_id };
    given(debiting()).accepts(told, [success]);
    given(debiting()).accepts(refused("ch_0"), broke());
}

#[test]
fn what_was_not_authorized_is_over_before_any_call() {
    let why = CancelReason::NotAuthorized { why: "autopay was cancelled".into() };
    let ended = PaymentEvent::PaymentCanceled {
        invoice_id: INVOICE,
        reason: why.clone(),
        reserved: true,
        autopay_id: Some(AUTOPAY),
    };
    given(started()).accepts(abandon(why.clone()), [ended]);
    for later in [called(), debiting(), succeeded_by_bank()] {
        given(later).ignores(abandon(why.clone()));
    }
}

fn words() -> impl Strategy<Value = RecordIntent> {
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
    fn in_any_order_one_decline_at_most_and_one_success_at_most(words in proptest::collection::vec(words(), 1..20)) {
        let context = crate::testing::context(Facts::default());
        let mut payment = state::<Payment>(called());
        let (mut declines, mut successes) = (0, 0);
        let reported = words.iter().any(|word| word.state == IntentState::Succeeded);
        for word in words {
            let events = word.clone().decide(&payment, &context);
            let events = events.expect("reports about this payment are merged");
            for event in &events {
                payment.evolve(event);
                declines += i32::from(matches!(event, PaymentEvent::PaymentDeclined { .. }));
                successes += i32::from(matches!(event, PaymentEvent::PaymentSucceeded { .. }));
            }
            prop_assert_eq!(word.decide(&payment, &context), Ok(vec![]));
        }
        prop_assert!(declines <= 1);
        prop_assert_eq!(successes, i32::from(reported));
        prop_assert_eq!(payment.phase == Phase::Succeeded, reported);
    }
}
