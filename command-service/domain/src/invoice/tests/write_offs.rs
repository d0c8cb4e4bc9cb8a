//! What is given up, and comes in after all.

use super::*;

pub(super) fn write_off() -> WriteOffInvoice {
    WriteOffInvoice { invoice_id: INVOICE, reason: from("Moved away") }
}

fn written_off(amount: i64) -> InvoiceEvent {
    InvoiceEvent::InvoiceWrittenOff { amount: usd(amount), reason: from("Moved away") }
}

fn given_up() -> Vec<InvoiceEvent> {
    with(published(), [written_off(10_000)])
}

/// The due day is 31 March in New York.
const LATE: &str = "2026-04-01T04:00:00Z";

#[test]
fn what_is_left_is_written_off_once_it_is_overdue_at_the_property() {
    given(published()).at(instant(LATE)).accepts(write_off(), [written_off(10_000)]);
    let due_on = day("2026-03-31");
    given(published()).at(instant("2026-04-01T03:59:59Z")).refuses(write_off(), InvoiceRefusal::NotOverdue { due_on });
    let part = with(published(), [received(PAYMENT, 4_000, 6_000)]);
    given(part).at(instant(LATE)).accepts(write_off(), [written_off(6_000)]);
}

#[test]
fn nothing_else_is_written_off() {
    let refused = |story: Vec<InvoiceEvent>, why| given(story).at(instant(LATE)).refuses(write_off(), why);
    refused(vec![], InvoiceRefusal::NotFound);
    refused(vec![drafted()], InvoiceRefusal::NotPublished);
    refused(withdrawn(), InvoiceRefusal::Voided);
    refused(claimed(), InvoiceRefusal::PaymentInFlight);
    refused(with(published(), [received(PAYMENT, 10_000, 0)]), InvoiceRefusal::AlreadyPaid);
}

#[test]
fn money_that_comes_in_after_all_undoes_it_first() {
    let undone = || InvoiceEvent::WriteOffUndone {};
    given(given_up()).accepts(offline(PAYMENT, 4_000), [undone(), received(PAYMENT, 4_000, 6_000)]);
    given(given_up()).accepts(apply(PAYMENT, 10_000), [undone(), applied(PAYMENT, 10_000, 0)]);
    let credited = InvoiceEvent::CreditApplied {
        credit_id: crate::testing::fixtures::credit(),
        number: 1,
        resident_id: RESIDENT,
        amount: usd(2_500),
        balance: usd(7_500),
    };
    given(given_up()).accepts(super::credits::credit(1, 2_500), [undone(), credited]);
    let again = with(given_up(), [undone(), received(PAYMENT, 4_000, 6_000)]);
    given(again).at(instant(LATE)).accepts(write_off(), [written_off(6_000)]);
}

#[test]
fn money_that_goes_back_undoes_it_too() {
    let part = with(published(), [applied(PAYMENT, 4_000, 6_000), written_off(6_000)]);
    let story = [InvoiceEvent::WriteOffUndone {}, reversed(REFUND, 4_000, 10_000)];
    given(part).accepts(reverse(REFUND, 4_000), story);
}

#[test]
fn the_resident_may_pay_it_and_autopay_does_not() {
    given(given_up()).accepts(reserve(PAYMENT, 10_000), [reserved()]);
    let whole = ReservePayment { whole: true, ..reserve(PAYMENT, 10_000) };
    given(given_up()).refuses(whole, InvoiceRefusal::WrittenOff);
    let expected = |story: Vec<InvoiceEvent>| state::<Invoice>(story).expected().map(Money::amount);
    assert_eq!(expected(given_up()), Ok(0));
    assert_eq!(expected(with(given_up(), [InvoiceEvent::WriteOffUndone {}])), Ok(10_000));
    assert_eq!(expected(withdrawn()), Ok(0));
    assert_eq!(expected(vec![drafted()]), Ok(0));
}

#[test]
fn it_is_neither_edited_nor_voided() {
    given(given_up()).refuses(edit(9_000), InvoiceRefusal::WrittenOff);
    given(given_up()).refuses(void(), InvoiceRefusal::WrittenOff);
    given(given_up()).ignores(edit(10_000));
}
