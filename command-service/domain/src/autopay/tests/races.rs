//! Reports that come late, twice, or in the wrong order.

use super::*;

/// The charge is out when the method is replaced.
fn replaced_in_flight() -> Vec<AutopayEvent> {
    with(
        active(),
        [
            charged(PAYMENT, INVOICE, 0),
            requested(NEW_SETUP, SetupPurpose::Update),
            activated(NEW_SETUP, card("pm_2"), Some("pm_1")),
        ],
    )
}

#[test]
fn every_end_of_a_charge_is_recorded_once() {
    let flying = || with(active(), [charged(PAYMENT, INVOICE, 0)]);
    given(flying()).accepts(settle(PAYMENT), [succeeded(PAYMENT, INVOICE)]);
    given(paused_for_invoice()).ignores(fail(PAYMENT, "insufficient_funds"));
    given(paused_for_invoice()).ignores(withdraw(PAYMENT));
    given(paused_for_invoice()).ignores(give_back(PAYMENT));
    let paid = with(flying(), [succeeded(PAYMENT, INVOICE)]);
    given(paid.clone()).ignores(settle(PAYMENT));
    given(paid.clone()).ignores(fail(PAYMENT, "insufficient_funds"));
    given(paid).ignores(withdraw(PAYMENT));
    given(active()).refuses(settle(PAYMENT), AutopayRefusal::NoSuchCharge);
    given(active()).refuses(fail(PAYMENT, "lost_card"), AutopayRefusal::NoSuchCharge);
    given([]).refuses(settle(PAYMENT), AutopayRefusal::NotFound);
    given([]).refuses(fail(PAYMENT, "lost_card"), AutopayRefusal::NotFound);
    given([]).refuses(give_back(PAYMENT), AutopayRefusal::NotFound);
}

#[test]
fn money_is_the_stronger_word() {
    let because = ResumeReason::InvoiceSettled;
    given(paused_for_invoice()).accepts(settle(PAYMENT), [succeeded(PAYMENT, INVOICE), resumed(because, &[])]);
    let withdrawn = AutopayEvent::ChargeWithdrawn { payment_id: PAYMENT, invoice_id: INVOICE };
    let withdrawn = with(active(), [charged(PAYMENT, INVOICE, 0), withdrawn]);
    given(withdrawn.clone()).accepts(settle(PAYMENT), [succeeded(PAYMENT, INVOICE)]);
    // So is a bank's answer after none, unless the next charge is out already.
    given(withdrawn.clone()).accepts(
        fail(PAYMENT, "insufficient_funds"),
        [failed(PAYMENT, INVOICE, declined(), retry(1, later(24)), 3), paused(declined(), false)],
    );
    given(with(withdrawn, [charged(payment(1), INVOICE, 0)])).ignores(fail(PAYMENT, "insufficient_funds"));
}

#[test]
fn a_charge_that_fails_after_another_of_its_invoice_went_through_after_all_stops_nothing() {
    let story = with(
        paused_for_invoice(),
        [resumed(ResumeReason::Reactivated, &[INVOICE]), charged(payment(1), INVOICE, 0), succeeded(PAYMENT, INVOICE)],
    );
    given(story.clone())
        .accepts(fail(payment(1), "insufficient_funds"), [failed(payment(1), INVOICE, declined(), None, 0)]);
    let autopay = state::<Autopay>(with(story, [failed(payment(1), INVOICE, declined(), None, 0)]));
    assert_eq!((autopay.status(), autopay.failure()), (Status::Active, None));
}

#[test]
fn a_return_that_overtakes_the_success_is_not_undone_by_it() {
    let reason = PauseReason::Returned { code: "debit_not_authorized".into() };
    let flying = with(active_bank(), [charged(PAYMENT, INVOICE, 0)]);
    let back = [failed(PAYMENT, INVOICE, reason.clone(), None, 0), paused(reason, true)];
    given(flying.clone()).accepts(give_back(PAYMENT), back.clone());
    given(with(flying, back)).ignores(settle(PAYMENT));
}

#[test]
fn a_charge_that_ends_after_a_cancel_is_recorded_and_nothing_follows() {
    let over = with(active(), [charged(PAYMENT, INVOICE, 0), cancelled()]);
    given(over.clone()).accepts(settle(PAYMENT), [succeeded(PAYMENT, INVOICE)]);
    given(over.clone()).accepts(fail(PAYMENT, "insufficient_funds"), [failed(PAYMENT, INVOICE, declined(), None, 0)]);
    let lost = PauseReason::DeclinedForGood { code: "lost_card".into() };
    given(over.clone()).accepts(fail(PAYMENT, "lost_card"), [failed(PAYMENT, INVOICE, lost, None, 0)]);
    let withdrawn = AutopayEvent::ChargeWithdrawn { payment_id: PAYMENT, invoice_id: INVOICE };
    given(over.clone()).accepts(withdraw(PAYMENT), [withdrawn]);
    let failed = state::<Autopay>(with(over, [failed(PAYMENT, INVOICE, declined(), None, 0)]));
    assert_eq!((failed.status(), failed.waiting(), failed.next_retry()), (Status::Cancelled, vec![], None));
}

#[test]
fn enabling_again_starts_fresh() {
    let again = with(
        paused_for_invoice(),
        [
            AutopayEvent::ChargeDeferred { invoice_id: SECOND, due_on: day("2026-03-02") },
            charged(payment(1), INVOICE, 1),
            cancelled(),
            requested(NEW_SETUP, SetupPurpose::Enable),
            activated(NEW_SETUP, card("pm_2"), None),
        ],
    );
    let autopay = state::<Autopay>(again.clone());
    assert_eq!(autopay.status(), Status::Active);
    assert_eq!((autopay.waiting(), autopay.failure(), autopay.pause()), (vec![], None, None));
    // What the earlier enrollment left in flight does not pause the new one, and is not doubled by it.
    given(again.clone())
        .accepts(fail(payment(1), "insufficient_funds"), [failed(payment(1), INVOICE, declined(), None, 0)]);
    given(again.clone())
        .facts(claimed(payment(2), usd(10_000)))
        .refuses(authorize(payment(2), INVOICE, 0), AutopayRefusal::ChargeInFlight);
    let requested_only = with(active(), [cancelled(), requested(NEW_SETUP, SetupPurpose::Enable)]);
    assert_eq!(state::<Autopay>(requested_only).status(), Status::SetupPending);
}

#[test]
fn a_charge_in_flight_keeps_its_method_and_its_failure_says_nothing_of_the_new_one() {
    let autopay = state::<Autopay>(replaced_in_flight());
    assert_eq!(autopay.charge(PAYMENT).map(|charge| charge.payment_method.as_str()), Some("pm_1"));
    assert_eq!(autopay.method(), Some(&card("pm_2")));
    let reason = PauseReason::Declined { code: "lost_card".into() };
    given(replaced_in_flight()).accepts(
        fail(PAYMENT, "lost_card"),
        [failed(PAYMENT, INVOICE, reason.clone(), retry(1, later(24)), 3), paused(reason, false)],
    );
    given(replaced_in_flight()).accepts(settle(PAYMENT), [succeeded(PAYMENT, INVOICE)]);
    given(replaced_in_flight()).ignores(LoseMethod {
        autopay_id: autopay_id(),
        payment_method: "pm_1".into(),
        because: Loss::Removed,
    });
}

#[test]
fn a_retry_that_is_out_is_not_doubled_when_the_pause_ends() {
    let flying = with(paused_for_invoice(), [charged(payment(1), INVOICE, 1)]);
    given(flying.clone()).facts(community()).accepts(reactivate(None), [resumed(ResumeReason::Reactivated, &[])]);
    let back = with(flying, [resumed(ResumeReason::Reactivated, &[])]);
    given(back.clone())
        .facts(claimed(payment(2), usd(10_000)))
        .refuses(authorize(payment(2), INVOICE, 0), AutopayRefusal::ChargeInFlight);
    given(back.clone()).accepts(settle(payment(1)), [succeeded(payment(1), INVOICE)]);
    // Its failure begins a new row of retries: the resident had asked for a new start.
    given(back).at(later(24)).accepts(
        fail(payment(1), "insufficient_funds"),
        [failed(payment(1), INVOICE, declined(), retry(1, later(48)), 3), paused(declined(), false)],
    );
}

#[test]
fn a_method_lost_while_the_retry_is_out_stays_lost_when_it_succeeds() {
    let story =
        with(paused_for_invoice(), [charged(payment(1), INVOICE, 1), paused(PauseReason::MethodDetached, true)]);
    given(story.clone()).accepts(settle(payment(1)), [succeeded(payment(1), INVOICE)]);
    given(story).accepts(fail(payment(1), "insufficient_funds"), [failed(payment(1), INVOICE, declined(), None, 0)]);
}
