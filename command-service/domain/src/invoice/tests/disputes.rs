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
