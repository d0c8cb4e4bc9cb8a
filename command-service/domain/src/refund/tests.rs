//! What goes back, and out of whose part.

use events::Currency;

use super::*;
use crate::testing::{
    fixtures::{
        INVOICE, OTHER_REFUND, PAYMENT, REFUND, bound, money, quoted, requested, submitted, submitting, succeeded, usd,
        with,
    },
    given, state,
};

fn refund(refund_id: RefundId, amount: Option<i64>) -> RefundPayment {
    RefundPayment { payment_id: PAYMENT, refund_id, amount: amount.map(usd), note: None }
}

fn asked(refund_id: RefundId, amount: i64) -> PaymentEvent {
    PaymentEvent::RefundRequested { refund_id, amount: usd(amount), note: None }
}

fn submit(refund_id: RefundId) -> SubmitRefund {
    SubmitRefund { payment_id: PAYMENT, refund_id }
}

fn intent(refund_id: RefundId, amount: i64) -> PaymentEvent {
    PaymentEvent::RefundSubmitting {
        refund_id,
        amount: usd(amount),
        intent: "pi_1".into(),
        account: "acct_1".into(),
        idempotency_key: format!("refund:{refund_id}"),
    }
}

fn record(refund_id: RefundId, report: RefundReport) -> RecordRefund {
    RecordRefund { payment_id: PAYMENT, refund_id, report }
}

fn success() -> RefundReport {
    RefundReport::Succeeded { refund: "re_1".into() }
}

fn failure() -> RefundReport {
    RefundReport::Failed { code: "insufficient_funds".into(), refund: None }
}

fn came_back() -> RefundReport {
    RefundReport::Failed { code: "insufficient_funds".into(), refund: Some("re_1".into()) }
}

fn lost() -> RefundReport {
    RefundReport::Unknown { cause: UnknownCause::TimedOut }
}

fn given_back(refund_id: RefundId, amount: i64, reversed: i64) -> PaymentEvent {
    PaymentEvent::RefundSucceeded {
        refund_id,
        invoice_id: INVOICE,
        amount: usd(amount),
        reversed: usd(reversed),
        refund: "re_1".into(),
    }
}

fn failed(refund_id: RefundId, amount: i64) -> PaymentEvent {
    PaymentEvent::RefundFailed { refund_id, amount: usd(amount), code: "insufficient_funds".into(), refund: None }
}

/// A refund of this much, at Stripe.
fn under_way(amount: i64) -> Vec<PaymentEvent> {
    with(succeeded(), [asked(REFUND, amount), intent(REFUND, amount)])
}

#[test]
fn a_payment_is_refunded_wholly_or_in_part() {
    given(succeeded()).accepts(refund(REFUND, Some(2_500)), [asked(REFUND, 2_500)]);
    given(succeeded()).accepts(refund(REFUND, None), [asked(REFUND, 10_383)]);
    given(with(succeeded(), [asked(REFUND, 2_500)])).ignores(refund(REFUND, None));
    given(with(succeeded(), [asked(REFUND, 2_500)]))
        .refuses(refund(REFUND, Some(2_501)), PaymentRefusal::RefundIdTaken);
}

#[test]
fn only_what_was_paid_can_be_refunded() {
    given([]).refuses(refund(REFUND, None), PaymentRefusal::NotFound);
    for unpaid in [vec![quoted()], requested(), submitting(), submitted()] {
        given(unpaid).refuses(refund(REFUND, None), PaymentRefusal::NothingToRefund);
    }
    let seen = PaymentEvent::PaymentQuarantined { expected: usd(10_383), seen_amount: 1, seen_currency: "usd".into() };
    given(with(submitted(), [seen])).refuses(refund(REFUND, None), PaymentRefusal::NothingToRefund);
}

#[test]
fn parts_go_back_up_to_what_was_charged_and_not_a_cent_more() {
    let left = |amount| PaymentRefusal::MoreThanLeft { left: usd(amount) };
    given(succeeded()).refuses(refund(REFUND, Some(10_384)), left(10_383));
    given(succeeded()).refuses(refund(REFUND, Some(0)), left(10_383));
    given(succeeded()).refuses(refund(REFUND, Some(-1)), left(10_383));
    let euros = RefundPayment { amount: Some(money(1, Currency::EUR)), ..refund(REFUND, None) };
    given(succeeded()).refuses(euros, left(10_383));
    let part = with(under_way(10_000), [given_back(REFUND, 10_000, 10_000)]);
    given(part.clone()).refuses(refund(OTHER_REFUND, Some(384)), left(383));
    given(part.clone()).accepts(refund(OTHER_REFUND, None), [asked(OTHER_REFUND, 383)]);
    let all = with(part, [asked(OTHER_REFUND, 383), given_back(OTHER_REFUND, 383, 0)]);
    given(all).refuses(refund(RefundId(Uuid::from_u128(9)), None), left(0));
}

#[test]
fn a_second_refund_waits_for_the_first() {
    let unknown = PaymentEvent::RefundOutcomeUnknown { refund_id: REFUND, cause: UnknownCause::TimedOut };
    for open in [with(succeeded(), [asked(REFUND, 100)]), under_way(100), with(under_way(100), [unknown])] {
        given(open).refuses(refund(OTHER_REFUND, Some(100)), PaymentRefusal::RefundInFlight);
    }
    let over = with(under_way(100), [failed(REFUND, 100)]);
    given(over.clone()).accepts(refund(OTHER_REFUND, None), [asked(OTHER_REFUND, 10_383)]);
    given(over).ignores(refund(REFUND, Some(100)));
}

#[test]
fn the_intent_of_a_refund_is_committed_once() {
    given(with(succeeded(), [asked(REFUND, 2_500)])).accepts(submit(REFUND), [intent(REFUND, 2_500)]);
    given(succeeded()).refuses(submit(REFUND), PaymentRefusal::NotFound);
    given(with(under_way(2_500), [given_back(REFUND, 2_500, 2_500)])).ignores(submit(REFUND));
    let unbound = [asked(REFUND, 1)];
    given(unbound).refuses(submit(REFUND), PaymentRefusal::NothingToRefund);
}

#[test]
fn the_invoices_part_goes_first_and_the_fee_last() {
    given(under_way(2_500)).accepts(record(REFUND, success()), [given_back(REFUND, 2_500, 2_500)]);
    given(under_way(10_383)).accepts(record(REFUND, success()), [given_back(REFUND, 10_383, 10_000)]);
    let part = with(under_way(9_900), [given_back(REFUND, 9_900, 9_900)]);
    let rest = with(part, [asked(OTHER_REFUND, 483), intent(OTHER_REFUND, 483)]);
    given(rest).accepts(record(OTHER_REFUND, success()), [given_back(OTHER_REFUND, 483, 100)]);
}

#[test]
fn a_refund_that_failed_leaves_everything_to_refund() {
    given(under_way(2_500)).accepts(record(REFUND, failure()), [failed(REFUND, 2_500)]);
    given(with(under_way(2_500), [given_back(REFUND, 2_500, 2_500)])).ignores(record(REFUND, failure()));
}

#[test]
fn a_lost_answer_is_unknown_until_it_is_known() {
    let unknown = PaymentEvent::RefundOutcomeUnknown { refund_id: REFUND, cause: UnknownCause::TimedOut };
    given(under_way(2_500)).accepts(record(REFUND, lost()), [unknown.clone()]);
    given(with(succeeded(), [asked(REFUND, 2_500)])).ignores(record(REFUND, lost()));
    let waiting = with(under_way(2_500), [unknown]);
    given(waiting.clone()).accepts(record(REFUND, success()), [given_back(REFUND, 2_500, 2_500)]);
    given(waiting).accepts(record(REFUND, failure()), [failed(REFUND, 2_500)]);
}

#[test]
fn a_report_about_an_unknown_refund_is_refused() {
    given(succeeded()).refuses(record(REFUND, success()), PaymentRefusal::NotFound);
    given([]).refuses(record(REFUND, success()), PaymentRefusal::NotFound);
    assert!(state::<Payment>([bound()]).refunds.is_empty());
}

#[test]
fn a_refund_that_the_bank_would_not_take_comes_back_once_and_can_be_asked_for_again() {
    let refunded = with(under_way(2_500), [given_back(REFUND, 2_500, 2_500)]);
    let returned = PaymentEvent::RefundReturned {
        refund_id: REFUND,
        invoice_id: INVOICE,
        amount: usd(2_500),
        reversed: usd(2_500),
        code: "insufficient_funds".into(),
    };
    given(refunded.clone()).accepts(record(REFUND, came_back()), [returned.clone()]);
    let back = with(refunded, [returned]);
    for stale in [success(), failure(), came_back(), lost()] {
        given(back.clone()).ignores(record(REFUND, stale));
    }
    assert_eq!(state::<Payment>(back.clone()).on_invoice(), Ok(usd(10_000)));
    given(back).accepts(refund(OTHER_REFUND, None), [asked(OTHER_REFUND, 10_383)]);
}

#[test]
fn what_became_the_residents_credit_is_not_given_back_as_well() {
    use crate::testing::fixtures::overpaid;
    let facts = || crate::Facts { invoice: Some(state(overpaid(PAYMENT, 4_000))), ..crate::Facts::default() };
    let credited = |left| PaymentRefusal::BecameCredit { credited: usd(4_000), left: usd(left) };
    given(succeeded()).facts(facts()).refuses(refund(REFUND, Some(6_384)), credited(6_383));
    given(succeeded()).facts(facts()).refuses(refund(REFUND, Some(10_383)), credited(6_383));
    given(succeeded()).facts(facts()).accepts(refund(REFUND, Some(6_383)), [asked(REFUND, 6_383)]);
    given(succeeded()).facts(facts()).accepts(refund(REFUND, None), [asked(REFUND, 6_383)]);
    let rest = with(succeeded(), [asked(REFUND, 6_383), given_back(REFUND, 6_383, 6_383)]);
    given(rest.clone()).facts(facts()).refuses(refund(OTHER_REFUND, None), credited(0));
    given(rest).facts(facts()).refuses(refund(OTHER_REFUND, Some(1)), credited(0));
    let more = PaymentRefusal::MoreThanLeft { left: usd(6_383) };
    given(succeeded()).facts(facts()).refuses(refund(REFUND, Some(10_384)), more);
}

fn outside(external: &str, amount: i64, named: Option<RefundId>) -> RecordOutsideRefund {
    RecordOutsideRefund { payment_id: PAYMENT, refund: external.into(), amount, named }
}

#[test]
fn what_was_given_back_in_stripes_dashboard_is_a_refund_and_cannot_be_given_again() {
    let id = Refund::outside(PAYMENT, "re_9");
    let success = PaymentEvent::RefundSucceeded {
        refund_id: id,
        invoice_id: INVOICE,
        amount: usd(10_383),
        reversed: usd(10_000),
        refund: "re_9".into(),
    };
    let story = [asked(id, 10_383), success];
    given(succeeded()).accepts(outside("re_9", 10_383, None), story.clone());
    let refunded = with(succeeded(), story);
    given(refunded.clone()).ignores(outside("re_9", 10_383, None));
    given(refunded)
        .facts(Facts::default())
        .refuses(refund(REFUND, Some(1)), PaymentRefusal::MoreThanLeft { left: usd(0) });
}

#[test]
fn a_refund_of_ours_is_not_taken_for_one_of_the_dashboards() {
    let under_way = with(succeeded(), [asked(REFUND, 5_000), intent(REFUND, 5_000)]);
    given(under_way.clone()).ignores(outside("re_1", 5_000, Some(REFUND)));
    // Also when its metadata was edited meanwhile.
    given(with(under_way, [given_back(REFUND, 5_000, 5_000)])).ignores(outside("re_1", 5_000, None));
    given(submitted()).refuses(outside("re_9", 1, None), PaymentRefusal::NothingToRefund);
}

#[test]
fn stripes_own_word_that_it_was_made_overrules_a_failure_that_was_inferred() {
    let failed = |refund: Option<&str>| PaymentEvent::RefundFailed {
        refund_id: REFUND,
        amount: usd(5_000),
        code: "not_found_at_stripe".into(),
        refund: refund.map(Into::into),
    };
    let under_way = with(succeeded(), [asked(REFUND, 5_000), intent(REFUND, 5_000)]);
    let inferred = with(under_way.clone(), [failed(None)]);
    given(inferred).accepts(record(REFUND, success()), [given_back(REFUND, 5_000, 5_000)]);
    // What Stripe itself said, or what came back, does not go out again.
    given(with(under_way, [failed(Some("re_1"))])).ignores(record(REFUND, success()));
}
