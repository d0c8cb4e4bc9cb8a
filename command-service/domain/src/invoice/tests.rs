//! What invoices accept, ignore and refuse.

use events::{
    Currency,
    invoice::{PaymentSource, ReleaseReason},
};
use uuid::Uuid;

use super::*;
use crate::{
    Command, Context, Facts,
    testing::{
        fixtures::{
            INVOICE, OTHER_PAYMENT, OTHER_REFUND, PAYMENT, PROPERTY, REFUND, RESIDENT, UNIT, billed, community,
            community_of, day, drafted, drafted_of, instant, line, money, property_in, published, reserved, usd, with,
        },
        from, given, state,
    },
};

mod credits;
mod disputes;
mod due_dates;
mod sequences;
mod write_offs;

fn draft() -> DraftInvoice {
    DraftInvoice {
        invoice_id: INVOICE,
        property_id: PROPERTY,
        unit_id: UNIT,
        resident_id: RESIDENT,
        title: from("March"),
        description: None,
        lines: vec![line(usd(10_000))],
        due_on: day("2026-03-31"),
    }
}

fn edit(amount: i64) -> EditInvoice {
    EditInvoice {
        invoice_id: INVOICE,
        title: from("March"),
        description: None,
        lines: vec![line(usd(amount))],
        due_on: day("2026-03-31"),
    }
}

fn edited(amount: i64) -> InvoiceEvent {
    InvoiceEvent::InvoiceEdited {
        title: from("March"),
        description: None,
        lines: vec![line(usd(amount))],
        total: usd(amount),
        due_on: day("2026-03-31"),
    }
}

fn discard() -> DiscardDraft {
    DiscardDraft { invoice_id: INVOICE }
}

fn publish() -> PublishInvoice {
    PublishInvoice { invoice_id: INVOICE, notify: true }
}

fn void() -> VoidInvoice {
    VoidInvoice { invoice_id: INVOICE, reason: from("Billed twice") }
}

fn voided() -> InvoiceEvent {
    InvoiceEvent::InvoiceVoided { reason: from("Billed twice") }
}

fn offline(payment_id: PaymentId, amount: i64) -> RecordOfflinePayment {
    RecordOfflinePayment {
        invoice_id: INVOICE,
        payment_id,
        amount: usd(amount),
        method: OfflineMethod::Check,
        reference: Some(from("1042")),
        received_on: day("2026-03-01"),
        excess_to_credit: false,
    }
}

fn received(payment_id: PaymentId, amount: i64, balance: i64) -> InvoiceEvent {
    InvoiceEvent::PaymentApplied {
        payment_id,
        resident_id: RESIDENT,
        amount: usd(amount),
        balance: usd(balance),
        source: PaymentSource::Offline {
            method: OfflineMethod::Check,
            reference: Some(from("1042")),
            received_on: day("2026-03-01"),
        },
    }
}

fn correct(payment_id: PaymentId) -> CorrectOfflinePayment {
    CorrectOfflinePayment { invoice_id: INVOICE, payment_id, note: from("bounced") }
}

fn corrected(payment_id: PaymentId, amount: i64, balance: i64) -> InvoiceEvent {
    InvoiceEvent::PaymentReversed {
        payment_id,
        amount: usd(amount),
        balance: usd(balance),
        reason: ReversalReason::OfflineCorrection { note: from("bounced") },
    }
}

fn reserve(payment_id: PaymentId, amount: i64) -> ReservePayment {
    ReservePayment { invoice_id: INVOICE, payment_id, amount: usd(amount), whole: false }
}

fn release(payment_id: PaymentId) -> ReleasePayment {
    ReleasePayment { invoice_id: INVOICE, payment_id, reason: ReleaseReason::Canceled }
}

fn released(payment_id: PaymentId) -> InvoiceEvent {
    InvoiceEvent::PaymentReleased { payment_id, reason: ReleaseReason::Canceled }
}

fn apply(payment_id: PaymentId, amount: i64) -> ApplyPayment {
    ApplyPayment { invoice_id: INVOICE, payment_id, amount: usd(amount), autopay_id: None }
}

fn applied(payment_id: PaymentId, amount: i64, balance: i64) -> InvoiceEvent {
    InvoiceEvent::PaymentApplied {
        payment_id,
        resident_id: RESIDENT,
        amount: usd(amount),
        balance: usd(balance),
        source: PaymentSource::Online,
    }
}

/// What was paid beyond the balance, the first time.
fn excess(payment_id: PaymentId, amount: i64, balance: i64) -> InvoiceEvent {
    InvoiceEvent::OverpaymentCredited {
        number: 1,
        credit_id: crate::testing::fixtures::credit(),
        resident_id: RESIDENT,
        property_id: PROPERTY,
        payment_id,
        amount: usd(amount),
        balance: usd(balance),
    }
}

fn reverse(refund_id: RefundId, amount: i64) -> ReversePayment {
    ReversePayment { invoice_id: INVOICE, payment_id: PAYMENT, refund_id, amount: usd(amount) }
}

fn reversed(refund_id: RefundId, amount: i64, balance: i64) -> InvoiceEvent {
    InvoiceEvent::PaymentReversed {
        payment_id: PAYMENT,
        amount: usd(amount),
        balance: usd(balance),
        reason: ReversalReason::Refund { refund_id },
    }
}

fn claimed() -> Vec<InvoiceEvent> {
    with(published(), [reserved()])
}

fn discarded() -> Vec<InvoiceEvent> {
    vec![drafted(), InvoiceEvent::InvoiceDiscarded {}]
}

fn withdrawn() -> Vec<InvoiceEvent> {
    with(published(), [voided()])
}

#[test]
fn an_invoice_is_drafted_once() {
    given([]).facts(community()).accepts(draft(), [drafted()]);
    given([drafted()])
        .facts(community())
        .refuses(DraftInvoice { title: from("April"), ..draft() }, InvoiceRefusal::DraftedOtherwise);
    assert_eq!(
        state::<Invoice>([drafted()]).scope(),
        Scope { properties: vec![PROPERTY], resident: Some(RESIDENT) },
        "managers of the property and the resident see it"
    );
}

#[test]
fn an_invoice_is_for_somebody_who_lives_there() {
    let facts = || Facts { unit: None, ..community() };
    given([]).facts(facts()).refuses(draft(), InvoiceRefusal::NoSuchUnit);
    let facts = || Facts { property: None, ..community() };
    given([]).facts(facts()).refuses(draft(), InvoiceRefusal::NoSuchProperty);
    let facts = || Facts { resident: None, ..community() };
    given([]).facts(facts()).refuses(draft(), InvoiceRefusal::NotLivingThere);
}

#[test]
fn lines_add_up_to_something_to_pay() {
    let lines = |amounts: &[i64]| amounts.iter().map(|amount| line(usd(*amount))).collect::<Vec<_>>();
    let discount = [10_000, -2_500];
    given([]).facts(community()).when(DraftInvoice { lines: lines(&discount), ..draft() }).then([
        InvoiceEvent::InvoiceDrafted {
            property_id: PROPERTY,
            unit_id: UNIT,
            resident_id: RESIDENT,
            title: from("March"),
            description: None,
            lines: lines(&discount),
            total: usd(7_500),
            due_on: day("2026-03-31"),
            time_zone: crate::testing::fixtures::zone("America/New_York"),
        },
    ]);
    for (bad, why) in [
        (lines(&[]), InvoiceRefusal::NoLines),
        (lines(&[1; 101]), InvoiceRefusal::NoLines),
        (vec![line(money(10_000, Currency::EUR))], InvoiceRefusal::WrongCurrency { expected: Currency::USD }),
        (lines(&[100, -100]), InvoiceRefusal::NothingToPay),
        (lines(&[-1]), InvoiceRefusal::NothingToPay),
        (lines(&[80_000_000]), InvoiceRefusal::TooMuch),
        (lines(&[Money::MAX, Money::MAX]), InvoiceRefusal::TooMuch),
    ] {
        given([]).facts(community()).refuses(DraftInvoice { lines: bad.clone(), ..draft() }, why.clone());
        given([drafted()]).refuses(EditInvoice { lines: bad, ..edit(1) }, why);
    }
}

#[test]
fn an_invoice_is_edited_until_a_payment_is_in_flight() {
    given([drafted()]).accepts(edit(9_000), [edited(9_000)]);
    given(published()).accepts(edit(9_000), [edited(9_000)]);
    given(published()).ignores(edit(10_000));
    given(claimed()).ignores(edit(10_000));
    given(claimed()).refuses(edit(9_000), InvoiceRefusal::PaymentInFlight);
    given([]).refuses(edit(9_000), InvoiceRefusal::NotFound);
    given(discarded()).refuses(edit(9_000), InvoiceRefusal::NotFound);
    given(withdrawn()).refuses(edit(9_000), InvoiceRefusal::Voided);
}

#[test]
fn an_edit_stays_at_or_above_what_was_paid() {
    let paid = with(published(), [received(PAYMENT, 4_000, 6_000)]);
    given(paid.clone()).refuses(edit(3_999), InvoiceRefusal::BelowWhatWasPaid);
    given(paid.clone()).accepts(edit(4_000), [edited(4_000)]);
    let bounced = with(paid, [corrected(PAYMENT, 4_000, 10_000)]);
    given(bounced).accepts(edit(3_999), [edited(3_999)]);
}

#[test]
fn a_draft_is_discarded_and_nothing_else_is() {
    given([drafted()]).accepts(discard(), [InvoiceEvent::InvoiceDiscarded {}]);
    given([]).refuses(discard(), InvoiceRefusal::NotFound);
    given(published()).refuses(discard(), InvoiceRefusal::NotADraft);
    given(withdrawn()).refuses(discard(), InvoiceRefusal::NotADraft);
}

#[test]
fn a_draft_is_published_once() {
    given([drafted()]).accepts(publish(), [InvoiceEvent::InvoicePublished { resident_id: RESIDENT, notify: true }]);
    given([]).refuses(publish(), InvoiceRefusal::NotFound);
    given(discarded()).refuses(publish(), InvoiceRefusal::NotADraft);
    given(withdrawn()).refuses(publish(), InvoiceRefusal::Voided);
}

#[test]
fn only_an_invoice_without_money_and_claims_is_voided() {
    given(published()).accepts(void(), [voided()]);
    given([]).refuses(void(), InvoiceRefusal::NotFound);
    given([drafted()]).refuses(void(), InvoiceRefusal::NotPublished);
    given(discarded()).refuses(void(), InvoiceRefusal::NotPublished);
    given(claimed()).refuses(void(), InvoiceRefusal::PaymentInFlight);
    let paid = with(published(), [received(PAYMENT, 4_000, 6_000)]);
    given(paid.clone()).refuses(void(), InvoiceRefusal::MoneyOnIt);
    given(with(paid, [corrected(PAYMENT, 4_000, 10_000)])).accepts(void(), [voided()]);
    given(with(claimed(), [released(PAYMENT)])).accepts(void(), [voided()]);
}

#[test]
fn checks_pay_an_invoice_part_by_part() {
    given(published()).accepts(offline(PAYMENT, 4_000), [received(PAYMENT, 4_000, 6_000)]);
    let part = with(published(), [received(PAYMENT, 4_000, 6_000)]);
    given(part.clone()).accepts(offline(OTHER_PAYMENT, 6_000), [received(OTHER_PAYMENT, 6_000, 0)]);
    given(part.clone()).refuses(offline(OTHER_PAYMENT, 6_001), InvoiceRefusal::MoreThanBalance { balance: usd(6_000) });
    for other in [
        offline(PAYMENT, 4_001),
        RecordOfflinePayment { method: OfflineMethod::Cash, ..offline(PAYMENT, 4_000) },
        RecordOfflinePayment { received_on: day("2026-02-28"), ..offline(PAYMENT, 4_000) },
    ] {
        given(part.clone()).refuses(other, InvoiceRefusal::PaymentIdTaken);
    }
}

#[test]
fn the_least_payment_is_one_unit_unless_less_is_left() {
    let least = |amount| InvoiceRefusal::TooSmall { least: usd(amount) };
    given(published()).accepts(offline(PAYMENT, 100), [received(PAYMENT, 100, 9_900)]);
    given(published()).refuses(offline(PAYMENT, 99), least(100));
    given(published()).refuses(offline(PAYMENT, 0), least(100));
    given(published()).refuses(offline(PAYMENT, -500), least(100));
    let cents = with(published(), [received(OTHER_PAYMENT, 9_950, 50)]);
    given(cents.clone()).accepts(offline(PAYMENT, 50), [received(PAYMENT, 50, 0)]);
    given(cents).refuses(offline(PAYMENT, 49), least(50));
}

#[test]
fn a_currency_without_minor_units_is_not_multiplied() {
    let yen = |amount| money(amount, Currency::JPY);
    let facts = community_of(property_in("Asia/Tokyo", Currency::JPY));
    let invoice = drafted_of(yen(10_000), "2026-03-31", "Asia/Tokyo");
    given([]).facts(facts).when(DraftInvoice { lines: vec![line(yen(10_000))], ..draft() }).then([invoice.clone()]);
    let published = vec![invoice, InvoiceEvent::InvoicePublished { resident_id: RESIDENT, notify: false }];
    let state = state::<Invoice>(published);
    assert_eq!(state.admits(yen(1)), Ok(()));
    assert_eq!(state.admits(yen(0)), Err(InvoiceRefusal::TooSmall { least: yen(1) }));
    assert_eq!(state.admits(yen(10_001)), Err(InvoiceRefusal::MoreThanBalance { balance: yen(10_000) }));
    assert_eq!(state.admits(usd(100)), Err(InvoiceRefusal::WrongCurrency { expected: Currency::JPY }));
}

#[test]
fn money_by_hand_is_refused_where_it_cannot_belong() {
    let offline = || offline(OTHER_PAYMENT, 4_000);
    given([]).refuses(offline(), InvoiceRefusal::NotFound);
    given([drafted()]).refuses(offline(), InvoiceRefusal::NotPublished);
    given(withdrawn()).refuses(offline(), InvoiceRefusal::Voided);
    given(claimed()).refuses(offline(), InvoiceRefusal::PaymentInFlight);
    given(with(published(), [received(PAYMENT, 10_000, 0)])).refuses(offline(), InvoiceRefusal::AlreadyPaid);
    let euros = RecordOfflinePayment { amount: money(4_000, Currency::EUR), ..offline() };
    given(published()).refuses(euros, InvoiceRefusal::WrongCurrency { expected: Currency::USD });
    let tomorrow = RecordOfflinePayment { received_on: day("2026-03-02"), ..offline() };
    given(published()).refuses(tomorrow, InvoiceRefusal::ReceivedInTheFuture { today: day("2026-03-01") });
}

#[test]
fn a_bounced_check_reopens_the_invoice() {
    let paid = with(published(), [received(PAYMENT, 10_000, 0)]);
    given(paid.clone()).accepts(correct(PAYMENT), [corrected(PAYMENT, 10_000, 10_000)]);
    given(paid.clone()).refuses(correct(OTHER_PAYMENT), InvoiceRefusal::NoSuchPayment);
    given([]).refuses(correct(PAYMENT), InvoiceRefusal::NotFound);
    given(with(published(), [applied(PAYMENT, 10_000, 0)])).refuses(correct(PAYMENT), InvoiceRefusal::PaidOnline);
    let other = InvoiceEvent::PaymentReserved { payment_id: OTHER_PAYMENT, amount: usd(6_000) };
    let part = with(published(), [received(PAYMENT, 4_000, 6_000), other]);
    given(part).refuses(correct(PAYMENT), InvoiceRefusal::PaymentInFlight);
    let reopened = with(paid, [corrected(PAYMENT, 10_000, 10_000)]);
    given(reopened.clone()).ignores(offline(PAYMENT, 10_000));
    given(with(reopened.clone(), [voided()])).ignores(correct(PAYMENT));
    given(reopened).accepts(offline(OTHER_PAYMENT, 10_000), [received(OTHER_PAYMENT, 10_000, 0)]);
}

#[test]
fn an_invoice_is_claimed_by_one_payment_at_a_time() {
    given(published()).accepts(reserve(PAYMENT, 10_000), [reserved()]);
    given(claimed()).refuses(reserve(OTHER_PAYMENT, 100), InvoiceRefusal::PaymentInFlight);
    let again = InvoiceEvent::PaymentReserved { payment_id: OTHER_PAYMENT, amount: usd(10_000) };
    given(with(claimed(), [released(PAYMENT)])).accepts(reserve(OTHER_PAYMENT, 10_000), [again]);
    given([]).refuses(reserve(PAYMENT, 10_000), InvoiceRefusal::NotFound);
    given([drafted()]).refuses(reserve(PAYMENT, 10_000), InvoiceRefusal::NotPublished);
    given(withdrawn()).refuses(reserve(PAYMENT, 10_000), InvoiceRefusal::Voided);
}

#[test]
fn a_check_a_second_before_the_charge_leaves_nothing_to_claim() {
    let paid = with(published(), [received(OTHER_PAYMENT, 10_000, 0)]);
    given(paid).refuses(reserve(PAYMENT, 10_000), InvoiceRefusal::AlreadyPaid);
    let edited = with(published(), [edited(9_000)]);
    given(edited).refuses(reserve(PAYMENT, 10_000), InvoiceRefusal::MoreThanBalance { balance: usd(9_000) });
}

#[test]
fn a_claim_is_released_once_and_for_good() {
    given(claimed()).accepts(release(PAYMENT), [released(PAYMENT)]);
    given(with(claimed(), [released(PAYMENT)])).ignores(reserve(PAYMENT, 10_000));
    given(with(claimed(), [applied(PAYMENT, 10_000, 0)])).ignores(release(PAYMENT));
    given([]).refuses(release(PAYMENT), InvoiceRefusal::NotFound);
}

#[test]
fn a_release_that_overtakes_its_reservation_leaves_no_claim_behind() {
    given(published()).accepts(release(PAYMENT), [released(PAYMENT)]);
    given(with(published(), [released(PAYMENT)])).ignores(reserve(PAYMENT, 10_000));
    let state = state::<Invoice>(with(claimed(), [released(OTHER_PAYMENT)]));
    assert_eq!(state.claim, Some((PAYMENT, usd(10_000))), "another payment's release leaves the claim alone");
}

#[test]
fn money_at_stripe_is_booked_once_and_whatever_else_happened() {
    given(claimed()).accepts(apply(PAYMENT, 10_000), [applied(PAYMENT, 10_000, 0)]);
    given(published()).accepts(apply(PAYMENT, 10_000), [applied(PAYMENT, 10_000, 0)]);
    given(with(claimed(), [released(PAYMENT)])).accepts(apply(PAYMENT, 10_000), [applied(PAYMENT, 10_000, 0)]);
    let credited = [applied(PAYMENT, 10_000, 0), excess(PAYMENT, 10_000, 10_000)];
    given(withdrawn()).accepts(apply(PAYMENT, 10_000), credited);
    let paid = with(published(), [received(OTHER_PAYMENT, 10_000, 0)]);
    let credited = [applied(PAYMENT, 10_000, -10_000), excess(PAYMENT, 10_000, 0)];
    given(paid).accepts(apply(PAYMENT, 10_000), credited);
    given([]).refuses(apply(PAYMENT, 10_000), InvoiceRefusal::NotFound);
    let euros = ApplyPayment { amount: money(1, Currency::EUR), ..apply(PAYMENT, 1) };
    given(published()).refuses(euros, InvoiceRefusal::TooMuch);
}

#[test]
fn money_by_hand_never_hides_money_at_stripe_under_the_same_id() {
    let by_hand = with(published(), [received(PAYMENT, 4_000, 6_000)]);
    given(by_hand.clone()).refuses(reserve(PAYMENT, 6_000), InvoiceRefusal::PaymentIdTaken);
    given(by_hand).accepts(apply(PAYMENT, 6_000), [applied(PAYMENT, 6_000, 0)]);
    let released = with(claimed(), [released(PAYMENT)]);
    given(released).refuses(offline(PAYMENT, 4_000), InvoiceRefusal::PaymentIdTaken);
    let online = with(published(), [applied(PAYMENT, 4_000, 6_000)]);
    given(online).refuses(offline(PAYMENT, 4_000), InvoiceRefusal::PaymentIdTaken);
}

#[test]
fn a_refund_reopens_what_it_gave_back() {
    let paid = with(claimed(), [applied(PAYMENT, 10_000, 0)]);
    given(paid.clone()).accepts(reverse(REFUND, 2_500), [reversed(REFUND, 2_500, 2_500)]);
    let part = with(paid.clone(), [reversed(REFUND, 2_500, 2_500)]);
    given(part).accepts(reverse(OTHER_REFUND, 7_500), [reversed(OTHER_REFUND, 7_500, 10_000)]);
    given(paid).ignores(reverse(REFUND, 0));
    given(published()).refuses(reverse(REFUND, 1), InvoiceRefusal::NoSuchPayment);
    let by_hand = with(published(), [received(PAYMENT, 4_000, 6_000)]);
    given(by_hand).refuses(reverse(REFUND, 1), InvoiceRefusal::NoSuchPayment);
}

#[test]
fn a_receipt_can_tell_how_money_came_in_by_hand() {
    let invoice =
        state::<Invoice>(with(published(), [received(PAYMENT, 4_000, 6_000), applied(OTHER_PAYMENT, 6_000, 0)]));
    assert_eq!(invoice.offline(PAYMENT), Some((OfflineMethod::Check, day("2026-03-01"))));
    assert_eq!(invoice.offline(OTHER_PAYMENT), None);
}

#[test]
fn what_is_not_there_owes_nothing() {
    assert_eq!(Invoice::default().balance().map(Money::amount), Ok(0));
    assert_eq!(Invoice::default().scope(), Scope::default());
    assert!(billed([]).invoice.is_some_and(|invoice| invoice.admits(usd(1)) == Err(InvoiceRefusal::NotFound)));
}
