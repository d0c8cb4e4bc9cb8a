//! What a person says became of a payment: once, and only where it is in doubt.

use super::*;
use crate::testing::from;

fn resolve(outcome: Resolution, intent: Option<&str>) -> ResolvePayment {
    ResolvePayment { payment_id: PAYMENT, outcome, intent: intent.map(Into::into), reason: from("Seen at Stripe") }
}

fn resolved(charged: bool) -> PaymentEvent {
    PaymentEvent::PaymentResolved { charged, reason: from("Seen at Stripe") }
}

fn freed() -> PaymentEvent {
    PaymentEvent::PaymentCanceled {
        invoice_id: INVOICE,
        reason: CancelReason::Resolved,
        reserved: true,
        autopay_id: None,
    }
}

fn booked() -> PaymentEvent {
    PaymentEvent::PaymentSucceeded {
        invoice_id: INVOICE,
        amount: usd(10_000),
        charge: None,
        card: None,
        bank: None,
        autopay_id: None,
    }
}

fn quarantined() -> Vec<PaymentEvent> {
    let seen =
        PaymentEvent::PaymentQuarantined { expected: usd(10_383), seen_amount: 10_000, seen_currency: "usd".into() };
    with(submitted(), [seen])
}

#[test]
fn what_was_quarantined_is_booked_as_quoted_or_given_up() {
    given(quarantined()).accepts(resolve(Resolution::Charged, None), [resolved(true), booked()]);
    given(quarantined()).accepts(resolve(Resolution::Charged, Some("pi_1")), [resolved(true), booked()]);
    given(quarantined()).refuses(resolve(Resolution::Charged, Some("pi_2")), PaymentRefusal::OtherIntent);
    given(quarantined()).accepts(resolve(Resolution::NotCharged, None), [resolved(false), freed()]);
    // The other word comes too late.
    let over = with(quarantined(), [resolved(false), freed()]);
    given(over).refuses(resolve(Resolution::Charged, None), PaymentRefusal::NotInDoubt);
}

#[test]
fn a_submission_without_an_answer_needs_the_name_of_what_was_charged() {
    for none in [None, Some("ch_1"), Some("pi_"), Some("pi_../x")] {
        given(submitting()).refuses(resolve(Resolution::Charged, none), PaymentRefusal::NeedsIntent);
    }
    let named = PaymentEvent::PaymentSubmitted { intent: "pi_9".into(), client_secret: Sealed::Erased };
    given(submitting()).accepts(resolve(Resolution::Charged, Some("pi_9")), [resolved(true), named, booked()]);
    given(submitting()).accepts(resolve(Resolution::NotCharged, None), [resolved(false), freed()]);
}

#[test]
fn what_is_not_in_doubt_is_not_a_persons_to_say() {
    for certain in [vec![quoted()], requested(), submitted(), succeeded()] {
        given(certain).refuses(resolve(Resolution::NotCharged, None), PaymentRefusal::NotInDoubt);
    }
    given([]).refuses(resolve(Resolution::NotCharged, None), PaymentRefusal::NotFound);
}

#[test]
fn a_persons_word_on_a_differing_amount_stands_and_money_that_was_not_seen_is_booked_after_all() {
    let report = |received| RecordIntent {
        payment_id: PAYMENT,
        account: "acct_1".into(),
        intent: "pi_1".into(),
        client_secret: None,
        state: IntentState::Succeeded,
        amount: 10_383,
        amount_received: received,
        currency: "usd".into(),
        charge: Some("ch_1".into()),
        card: None,
        decline: None,
        bank: None,
        settlement: None,
    };
    given(with(quarantined(), [resolved(false), freed()])).ignores(report(10_000));
    let given_up = with(submitted(), []);
    assert_eq!(state::<Payment>(given_up).phase, Phase::Submitted);
    let lost = with(submitting(), [resolved(false), freed()]);
    let named = PaymentEvent::PaymentSubmitted { intent: "pi_1".into(), client_secret: Sealed::Erased };
    given(lost).accepts(report(10_383), [named, success()]);
}
