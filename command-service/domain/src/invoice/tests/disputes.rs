//! The payer's bank takes money back: the invoice is open again until the dispute is won.

use super::*;

pub(super) fn dispute(payment_id: PaymentId, dispute: &str, amount: i64) -> ReverseDisputed {
    ReverseDisputed {
        invoice_id: INVOICE,
        payment_id,
        dispute: dispute.into(),
        amount: usd(amount),
        returned: false,
        code: "fraudulent".into(),
    }
}

pub(super) fn reinstate(payment_id: PaymentId, dispute: &str, amount: i64) -> ReinstatePayment {
    ReinstatePayment { invoice_id: INVOICE, payment_id, dispute: dispute.into(), amount: usd(amount) }
}

fn taken(amount: i64, balance: i64) -> InvoiceEvent {
    let reason = ReversalReason::Dispute { dispute: "dp_1".into() };
    InvoiceEvent::PaymentReversed { payment_id: PAYMENT, amount: usd(amount), balance: usd(balance), reason }
}

fn back(amount: i64, balance: i64) -> InvoiceEvent {
    InvoiceEvent::PaymentReinstated {
        payment_id: PAYMENT,
        amount: usd(amount),
        balance: usd(balance),
        dispute: "dp_1".into(),
    }
}

fn paid() -> Vec<InvoiceEvent> {
    with(claimed(), [applied(PAYMENT, 10_000, 0)])
}

#[test]
fn a_dispute_reopens_the_invoice_and_a_won_one_closes_it() {
    given(paid()).accepts(dispute(PAYMENT, "dp_1", 10_000), [taken(10_000, 10_000)]);
    let open = with(paid(), [taken(10_000, 10_000)]);
    given(open.clone()).accepts(reinstate(PAYMENT, "dp_1", 10_000), [back(10_000, 0)]);
    given(with(open, [back(10_000, 0)])).ignores(dispute(PAYMENT, "dp_1", 10_000));
    given(paid()).ignores(dispute(PAYMENT, "dp_1", 0));
    given(paid()).ignores(reinstate(PAYMENT, "dp_1", 0));
    given(published()).refuses(dispute(PAYMENT, "dp_1", 1), InvoiceRefusal::NoSuchPayment);
    given(published()).refuses(reinstate(PAYMENT, "dp_1", 1), InvoiceRefusal::NoSuchPayment);
}

#[test]
fn what_never_left_does_not_come_back() {
    given(paid()).refuses(reinstate(PAYMENT, "dp_1", 10_000), InvoiceRefusal::NotDisputed);
    let other = with(paid(), [taken(10_000, 10_000)]);
    given(other).refuses(reinstate(PAYMENT, "dp_2", 10_000), InvoiceRefusal::NotDisputed);
}

#[test]
fn a_returned_bank_debit_says_so() {
    let command =
        ReverseDisputed { returned: true, code: "insufficient_funds".into(), ..dispute(PAYMENT, "du_1", 10_000) };
    let reason = ReversalReason::Return { dispute: "du_1".into(), code: "insufficient_funds".into() };
    let event =
        InvoiceEvent::PaymentReversed { payment_id: PAYMENT, amount: usd(10_000), balance: usd(10_000), reason };
    given(paid()).accepts(command, [event]);
}

#[test]
fn who_paid_again_meanwhile_has_credit_when_the_dispute_is_won() {
    let again = with(paid(), [taken(10_000, 10_000), received(OTHER_PAYMENT, 10_000, 0)]);
    let credited = [back(10_000, -10_000), excess(PAYMENT, 10_000, 0)];
    given(again).accepts(reinstate(PAYMENT, "dp_1", 10_000), credited);
}

#[test]
fn a_dispute_is_booked_even_while_another_payment_is_in_flight() {
    let part = with(published(), [applied(PAYMENT, 4_000, 6_000)]);
    let other = InvoiceEvent::PaymentReserved { payment_id: OTHER_PAYMENT, amount: usd(6_000) };
    given(with(part, [other])).accepts(dispute(PAYMENT, "dp_1", 4_000), [taken(4_000, 10_000)]);
}

#[test]
fn a_refund_that_came_back_is_on_the_invoice_again_once() {
    let (payment_id, refund_id) = (PAYMENT, crate::testing::fixtures::REFUND);
    let undo = |amount| UndoRefund { invoice_id: INVOICE, payment_id, refund_id, amount: usd(amount) };
    let reason = ReversalReason::Refund { refund_id };
    let gone = InvoiceEvent::PaymentReversed { payment_id, amount: usd(3_000), balance: usd(3_000), reason };
    let back = InvoiceEvent::RefundUndone { payment_id, refund_id, amount: usd(3_000), balance: usd(0) };
    let refunded = with(paid(), [gone]);
    given(refunded.clone()).accepts(undo(3_000), [back.clone()]);
    given(with(refunded.clone(), [back])).ignores(undo(3_000));
    given(refunded.clone()).ignores(undo(0));
    given(paid()).refuses(undo(3_000), InvoiceRefusal::NotRefunded);
    given(published()).refuses(undo(3_000), InvoiceRefusal::NoSuchPayment);
    // It was paid otherwise meanwhile: what is too much now is the resident's.
    let other = PaymentId(uuid::Uuid::from_u128(0x99));
    let again = state::<Invoice>(with(refunded, [applied(other, 3_000, 0)]));
    let events = undo(3_000).decide(&again, &crate::testing::context(crate::Facts::default())).expect("events");
    assert!(
        matches!(&events[..], [InvoiceEvent::RefundUndone { .. }, InvoiceEvent::OverpaymentCredited { amount, .. }]
        if *amount == usd(3_000))
    );
}
