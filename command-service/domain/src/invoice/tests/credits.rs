//! More than was due becomes credit, and credit settles what is due.

use events::{AutopayId, CreditEvent, credit::CreditSource};

use super::*;
use crate::{
    Credit,
    testing::fixtures::{AUTOPAY, credit as credit_id},
};

pub(super) fn credit(number: u32, amount: i64) -> ApplyCredit {
    ApplyCredit { invoice_id: INVOICE, credit_id: credit_id(), number, amount: usd(amount) }
}

fn used(number: u32, amount: i64, balance: i64) -> InvoiceEvent {
    InvoiceEvent::CreditApplied {
        credit_id: credit_id(),
        number,
        resident_id: RESIDENT,
        amount: usd(amount),
        balance: usd(balance),
    }
}

fn with_excess(payment_id: PaymentId, amount: i64) -> RecordOfflinePayment {
    RecordOfflinePayment { excess_to_credit: true, ..offline(payment_id, amount) }
}

#[test]
fn what_autopay_paid_says_so_and_is_booked_once() {
    let autopay_id: Option<AutopayId> = Some(AUTOPAY);
    let command = ApplyPayment { autopay_id, ..apply(PAYMENT, 10_000) };
    let event = InvoiceEvent::PaymentApplied {
        payment_id: PAYMENT,
        resident_id: RESIDENT,
        amount: usd(10_000),
        balance: usd(0),
        source: PaymentSource::Autopay { autopay_id: AUTOPAY },
    };
    given(claimed()).accepts(command, [event.clone()]);
    given(with(claimed(), [event])).ignores(apply(PAYMENT, 10_000));
}

#[test]
fn a_body_that_was_written_before_autopay_still_reads() {
    let old = serde_json::json!({ "invoice_id": INVOICE, "payment_id": PAYMENT, "amount": usd(10_000) });
    given(claimed()).accepts(from::<ApplyPayment>(old.clone()), [applied(PAYMENT, 10_000, 0)]);
    given(published()).accepts(from::<ReservePayment>(old), [reserved()]);
}

#[test]
fn autopay_claims_the_whole_balance_or_nothing() {
    let whole = |amount| ReservePayment { whole: true, ..reserve(PAYMENT, amount) };
    given(published()).accepts(whole(10_000), [reserved()]);
    let balance = |amount| InvoiceRefusal::NotTheBalance { balance: usd(amount) };
    given(published()).refuses(whole(9_999), balance(10_000));
    given(published()).refuses(whole(10_001), balance(10_000));
    let part = with(published(), [received(OTHER_PAYMENT, 4_000, 6_000)]);
    given(part).refuses(whole(10_000), balance(6_000));
    given(published()).refuses(whole(50), balance(10_000));
    let paid = with(published(), [received(OTHER_PAYMENT, 10_000, 0)]);
    given(paid).refuses(whole(10_000), InvoiceRefusal::AlreadyPaid);
    given(withdrawn()).refuses(whole(10_000), InvoiceRefusal::Voided);
    let other = InvoiceEvent::PaymentReserved { payment_id: OTHER_PAYMENT, amount: usd(10_000) };
    given(with(published(), [other])).refuses(whole(10_000), InvoiceRefusal::PaymentInFlight);
    given(claimed()).ignores(whole(10_000));
}

#[test]
fn more_than_the_balance_settles_the_invoice_and_the_rest_is_credit() {
    let part = with(published(), [received(OTHER_PAYMENT, 4_000, 6_000)]);
    let story = [applied(PAYMENT, 10_000, -4_000), excess(PAYMENT, 4_000, 0)];
    given(part).accepts(apply(PAYMENT, 10_000), story);
}

#[test]
fn a_second_overpayment_has_a_number_of_its_own() {
    let over = with(published(), [applied(PAYMENT, 12_000, -2_000), excess(PAYMENT, 2_000, 0)]);
    let second = InvoiceEvent::OverpaymentCredited {
        number: 2,
        credit_id: credit_id(),
        resident_id: RESIDENT,
        property_id: PROPERTY,
        payment_id: OTHER_PAYMENT,
        amount: usd(500),
        balance: usd(0),
    };
    given(over).accepts(apply(OTHER_PAYMENT, 500), [applied(OTHER_PAYMENT, 500, -500), second]);
}

#[test]
fn a_check_above_the_balance_needs_a_word() {
    let balance = usd(10_000);
    given(published()).refuses(offline(PAYMENT, 12_000), InvoiceRefusal::MoreThanBalance { balance });
    let story = [received(PAYMENT, 12_000, -2_000), excess(PAYMENT, 2_000, 0)];
    given(published()).accepts(with_excess(PAYMENT, 12_000), story);
    given(published()).accepts(with_excess(PAYMENT, 9_000), [received(PAYMENT, 9_000, 1_000)]);
    let paid = with(published(), [received(PAYMENT, 10_000, 0)]);
    given(paid).refuses(with_excess(OTHER_PAYMENT, 12_000), InvoiceRefusal::AlreadyPaid);
    given(claimed()).refuses(with_excess(OTHER_PAYMENT, 12_000), InvoiceRefusal::PaymentInFlight);
    let euros = RecordOfflinePayment { amount: money(12_000, Currency::EUR), ..with_excess(PAYMENT, 1) };
    given(published()).refuses(euros, InvoiceRefusal::WrongCurrency { expected: Currency::USD });
}

#[test]
fn credit_settles_what_it_was_set_aside_for_once() {
    given(published()).accepts(credit(1, 2_500), [used(1, 2_500, 7_500)]);
    let part = with(published(), [used(1, 2_500, 7_500)]);
    given(part.clone()).accepts(credit(2, 2_500), [used(2, 2_500, 5_000)]);
    given(part.clone()).accepts(credit(2, 7_500), [used(2, 7_500, 0)]);
    given(part.clone()).refuses(credit(2, 7_501), InvoiceRefusal::MoreThanBalance { balance: usd(7_500) });
    given(part.clone()).refuses(void(), InvoiceRefusal::MoneyOnIt);
    given(part).refuses(edit(2_499), InvoiceRefusal::BelowWhatWasPaid);
}

#[test]
fn credit_is_refused_where_it_cannot_belong() {
    given([]).refuses(credit(1, 1), InvoiceRefusal::NotFound);
    given([drafted()]).refuses(credit(1, 1), InvoiceRefusal::NotPublished);
    given(withdrawn()).refuses(credit(1, 1), InvoiceRefusal::Voided);
    given(claimed()).refuses(credit(1, 1), InvoiceRefusal::PaymentInFlight);
    let balance = usd(10_000);
    given(published()).refuses(credit(1, 0), InvoiceRefusal::MoreThanBalance { balance });
    let euros = ApplyCredit { amount: money(1, Currency::EUR), ..credit(1, 1) };
    given(published()).refuses(euros, InvoiceRefusal::WrongCurrency { expected: Currency::USD });
}

#[test]
fn credit_that_went_back_is_not_taken_after_all() {
    let spent = |number| CreditEvent::CreditSpent {
        number,
        invoice_id: INVOICE,
        asked: usd(10_000),
        amount: usd(2_500),
        balance: usd(0),
    };
    let returned = CreditEvent::CreditAdded {
        property_id: PROPERTY,
        resident_id: RESIDENT,
        amount: usd(2_500),
        balance: usd(2_500),
        source: CreditSource::Returned { invoice_id: INVOICE, number: 1 },
    };
    let facts = || {
        let credit: Credit = state([spent(1), returned.clone(), spent(2)]);
        Facts { credit: Some(credit), ..Facts::default() }
    };
    given(published()).facts(facts()).ignores(credit(1, 2_500));
    given(published()).facts(facts()).accepts(credit(2, 2_500), [used(2, 2_500, 7_500)]);
    assert_eq!(credit(1, 1).needs(&Invoice::default(), &Facts::default()), [crate::Need::Credit(credit_id())]);
}

#[test]
fn a_bounced_check_that_was_too_large_leaves_debt_and_credit_that_balance() {
    let over = with(published(), [received(PAYMENT, 12_000, -2_000), excess(PAYMENT, 2_000, 0)]);
    given(over.clone()).accepts(correct(PAYMENT), [corrected(PAYMENT, 12_000, 12_000)]);
    let bounced = with(over, [corrected(PAYMENT, 12_000, 12_000)]);
    given(bounced).accepts(credit(1, 2_000), [used(1, 2_000, 10_000)]);
}
