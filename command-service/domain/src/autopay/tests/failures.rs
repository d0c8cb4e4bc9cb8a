//! Declines, retries, returns, and the way back.

use super::*;

const BANK_CODES: [&str; 3] = ["insufficient_funds", "R01", "R09"];

/// Fails as a bank debit does.
fn bounce(payment_id: PaymentId, code: &str) -> FailCharge {
    FailCharge { autopay_id: autopay_id(), payment_id, code: code.into(), decline_code: None, advice: None }
}

fn for_good(code: &str) -> PauseReason {
    PauseReason::DeclinedForGood { code: code.into() }
}

#[test]
fn declines_are_soft_hard_or_a_call_for_the_resident() {
    let card = |code, decline_code, advice| classify(PaymentMethodKind::Card, code, decline_code, advice);
    for soft in ["insufficient_funds", "generic_decline", "do_not_honor", "try_again_later", "never_heard_of"] {
        assert_eq!(card("card_declined", Some(soft), Some("try_again_later")), Decline::Soft, "{soft}");
        assert_eq!(card("card_declined", Some(soft), None), Decline::Soft, "{soft}");
        assert_eq!(card("card_declined", Some(soft), Some("do_not_try_again")), Decline::Hard, "{soft}");
        assert_eq!(card("card_declined", Some(soft), Some("confirm_card_data")), Decline::Hard, "{soft}");
    }
    for hard in ["lost_card", "stolen_card", "pickup_card", "fraudulent", "revocation_of_authorization"] {
        assert_eq!(card("card_declined", Some(hard), Some("try_again_later")), Decline::Hard, "{hard}");
    }
    assert_eq!(card("expired_card", None, None), Decline::Hard);
    assert_eq!(card("processing_error", None, None), Decline::Soft);
    assert_eq!(card("authentication_required", None, Some("do_not_try_again")), Decline::Authentication);
    assert_eq!(card("card_declined", Some("authentication_required"), None), Decline::Authentication);
    let bank = |code| classify(PaymentMethodKind::BankDebit, code, None, None);
    assert!(BANK_CODES.iter().all(|code| bank(code) == Decline::Soft));
    for hard in ["account_closed", "R02", "debit_not_authorized", "authentication_required", "never_heard_of"] {
        assert_eq!(bank(hard), Decline::Hard, "{hard}");
    }
}

#[test]
fn a_soft_decline_pauses_and_is_tried_again_a_day_later() {
    let flying = with(active(), [charged(PAYMENT, INVOICE, 0)]);
    given(flying).accepts(
        fail(PAYMENT, "insufficient_funds"),
        [failed(PAYMENT, INVOICE, declined(), retry(1, later(24)), 3), paused(declined(), false)],
    );
    let autopay = state::<Autopay>(paused_for_invoice());
    assert_eq!(autopay.status(), Status::Paused);
    assert_eq!(autopay.next_retry(), Some((INVOICE, Retry { attempt: 1, at: later(24) })));
    assert_eq!(autopay.pause(), Some(&Pause { reason: declined(), new_method_required: false }));
}

#[test]
fn a_retry_is_made_when_it_is_due_by_its_number_and_for_its_invoice() {
    let facts = || claimed(payment(1), usd(10_000));
    let given = || given(paused_for_invoice()).facts(facts());
    given().at(later(24) - TimeDelta::seconds(1)).refuses(authorize(payment(1), INVOICE, 1), AutopayRefusal::Paused);
    given().at(later(24)).refuses(authorize(payment(1), INVOICE, 0), AutopayRefusal::OtherAttempt { due: 1 });
    given().at(later(24)).refuses(authorize(payment(1), INVOICE, 2), AutopayRefusal::OtherAttempt { due: 1 });
    given().at(later(24)).refuses(authorize(payment(1), SECOND, 1), AutopayRefusal::Paused);
    given().at(later(24)).accepts(authorize(payment(1), INVOICE, 1), [charged(payment(1), INVOICE, 1)]);
    // A retry's timer that rings after the pause has ended has nothing to do.
    let over = with(paused_for_invoice(), [resumed(ResumeReason::Reactivated, &[INVOICE])]);
    crate::testing::given(over)
        .facts(facts())
        .at(later(24))
        .refuses(authorize(payment(1), INVOICE, 1), AutopayRefusal::OtherAttempt { due: 0 });
}

#[test]
fn three_daily_retries_and_then_a_new_method_is_needed() {
    let mut story = paused_for_invoice();
    for attempt in 1..=2_u32 {
        let hours = i64::from(attempt) * 24;
        story.push(charged(payment(attempt.into()), INVOICE, attempt));
        let again =
            failed(payment(attempt.into()), INVOICE, declined(), retry(attempt + 1, later(hours + 24)), 3 - attempt);
        given(story.clone())
            .at(later(hours))
            .accepts(fail(payment(attempt.into()), "insufficient_funds"), [again.clone()]);
        story.push(again);
    }
    story.push(charged(payment(3), INVOICE, 3));
    let used_up = PauseReason::RetriesUsedUp { code: "insufficient_funds".into() };
    let last = [failed(payment(3), INVOICE, used_up.clone(), None, 0), paused(used_up, true)];
    given(story.clone()).at(later(72)).accepts(fail(payment(3), "insufficient_funds"), last.clone());
    let over = state::<Autopay>(with(story, last));
    assert_eq!((over.next_retry(), over.waiting()), (None, vec![INVOICE]));
}

#[test]
fn a_retry_that_succeeds_resumes_with_what_waited_in_due_order_and_a_fresh_counter() {
    let third = InvoiceId(Uuid::from_u128(0x43));
    let story = with(
        paused_for_invoice(),
        [
            AutopayEvent::ChargeDeferred { invoice_id: SECOND, due_on: day("2026-03-03") },
            AutopayEvent::ChargeDeferred { invoice_id: third, due_on: day("2026-03-02") },
            charged(payment(1), INVOICE, 1),
            failed(payment(1), INVOICE, declined(), retry(2, later(48)), 2),
            charged(payment(2), INVOICE, 2),
        ],
    );
    let back = [succeeded(payment(2), INVOICE), resumed(ResumeReason::RetrySucceeded, &[third, SECOND])];
    given(story.clone()).accepts(settle(payment(2)), back.clone());
    let fresh = with(story, with(back.to_vec(), [charged(payment(3), third, 0)]));
    given(fresh).at(later(48)).accepts(
        fail(payment(3), "insufficient_funds"),
        [failed(payment(3), third, declined(), retry(1, later(72)), 3), paused(declined(), false)],
    );
}

#[test]
fn a_hard_decline_needs_a_new_method_at_once() {
    let flying = with(active(), [charged(PAYMENT, INVOICE, 0)]);
    given(flying).accepts(
        fail(PAYMENT, "lost_card"),
        [failed(PAYMENT, INVOICE, for_good("lost_card"), None, 0), paused(for_good("lost_card"), true)],
    );
    // Also when it is the retry that shows it.
    given(with(paused_for_invoice(), [charged(payment(1), INVOICE, 1)])).accepts(
        fail(payment(1), "stolen_card"),
        [failed(payment(1), INVOICE, for_good("stolen_card"), None, 0), paused(for_good("stolen_card"), true)],
    );
}

#[test]
fn a_call_for_the_resident_pauses_without_a_retry_and_paying_by_link_ends_it() {
    let asked = PauseReason::AuthenticationRequired;
    let flying = with(active(), [charged(PAYMENT, INVOICE, 0)]);
    let events = [failed(PAYMENT, INVOICE, asked.clone(), None, 0), paused(asked, false)];
    given(flying.clone()).accepts(fail(PAYMENT, "authentication_required"), events.clone());
    given(with(flying, events)).accepts(release(INVOICE), [resumed(ResumeReason::InvoiceSettled, &[])]);
}

#[test]
fn two_invoices_that_fail_on_one_day_have_one_row_of_retries() {
    let both = with(active(), [charged(PAYMENT, INVOICE, 0), charged(payment(1), SECOND, 0)]);
    let first = with(both, [failed(PAYMENT, INVOICE, declined(), retry(1, later(24)), 3), paused(declined(), false)]);
    let second = failed(payment(1), SECOND, declined(), None, 3);
    given(first.clone()).at(later(1)).accepts(fail(payment(1), "insufficient_funds"), [second.clone()]);
    let waiting = with(first, [second]);
    let autopay = state::<Autopay>(waiting.clone());
    assert_eq!(autopay.next_retry(), Some((INVOICE, Retry { attempt: 1, at: later(24) })));
    assert_eq!(autopay.waiting(), [INVOICE, SECOND]);
    // It is not retried by itself, and is charged when the first one's retry goes through.
    given(waiting.clone())
        .facts(claimed(payment(2), usd(10_000)))
        .at(later(48))
        .refuses(authorize(payment(2), SECOND, 1), AutopayRefusal::Paused);
    given(with(waiting, [charged(payment(2), INVOICE, 1)])).at(later(24)).accepts(
        settle(payment(2)),
        [succeeded(payment(2), INVOICE), resumed(ResumeReason::RetrySucceeded, &[SECOND])],
    );
}

#[test]
fn a_second_invoice_that_shows_the_card_to_be_lost_ends_the_retries_of_the_first() {
    let story = with(
        active(),
        [
            charged(PAYMENT, INVOICE, 0),
            charged(payment(1), SECOND, 0),
            failed(PAYMENT, INVOICE, declined(), retry(1, later(24)), 3),
            paused(declined(), false),
        ],
    );
    let lost = [failed(payment(1), SECOND, for_good("lost_card"), None, 0), paused(for_good("lost_card"), true)];
    given(story.clone()).accepts(fail(payment(1), "lost_card"), lost.clone());
    let autopay = state::<Autopay>(with(story, lost));
    assert_eq!((autopay.next_retry(), autopay.waiting()), (None, vec![INVOICE, SECOND]));
}

#[test]
fn an_invoice_paid_another_way_ends_the_pause_that_was_about_it() {
    let story =
        with(paused_for_invoice(), [AutopayEvent::ChargeDeferred { invoice_id: SECOND, due_on: day("2026-03-03") }]);
    given(story.clone()).accepts(release(INVOICE), [resumed(ResumeReason::InvoiceSettled, &[SECOND])]);
    given(story.clone()).ignores(release(SECOND));
    // While its retry is in flight, the retry's own end tells.
    given(with(story, [charged(payment(1), INVOICE, 1)])).ignores(release(INVOICE));
    given(dead()).ignores(release(INVOICE));
    given(active()).ignores(release(INVOICE));
    given([]).refuses(release(INVOICE), AutopayRefusal::NotFound);
}

#[test]
fn a_charge_without_an_answer_uses_up_no_retry() {
    let withdrawn = |payment_id| AutopayEvent::ChargeWithdrawn { payment_id, invoice_id: INVOICE };
    let flying = with(paused_for_invoice(), [charged(payment(1), INVOICE, 1)]);
    given(flying.clone()).accepts(withdraw(payment(1)), [withdrawn(payment(1))]);
    let again = with(flying, [withdrawn(payment(1))]);
    given(again.clone())
        .facts(claimed(payment(2), usd(10_000)))
        .at(later(25))
        .accepts(authorize(payment(2), INVOICE, 1), [charged(payment(2), INVOICE, 1)]);
    // What comes to nothing during a pause waits for its end.
    let other = with(
        active(),
        [
            charged(PAYMENT, INVOICE, 0),
            charged(payment(1), SECOND, 0),
            failed(PAYMENT, INVOICE, declined(), retry(1, later(24)), 3),
            paused(declined(), false),
            AutopayEvent::ChargeWithdrawn { payment_id: payment(1), invoice_id: SECOND },
        ],
    );
    assert_eq!(state::<Autopay>(other).waiting(), [INVOICE, SECOND]);
    given(active()).ignores(withdraw(PAYMENT));
    given([]).refuses(withdraw(PAYMENT), AutopayRefusal::NotFound);
}

#[test]
fn a_bank_debit_is_presented_again_twice_at_most_and_for_lack_of_funds_only() {
    for code in BANK_CODES {
        let reason = PauseReason::Declined { code: code.into() };
        let mut story = with(active_bank(), [charged(PAYMENT, INVOICE, 0)]);
        let first = [failed(PAYMENT, INVOICE, reason.clone(), retry(1, later(24)), 2), paused(reason.clone(), false)];
        given(story.clone()).accepts(bounce(PAYMENT, code), first.clone());
        story.extend(first);
        story.push(charged(payment(1), INVOICE, 1));
        let second = failed(payment(1), INVOICE, reason.clone(), retry(2, later(24 * 7)), 1);
        given(story.clone()).at(later(24 * 6)).accepts(bounce(payment(1), code), [second.clone()]);
        story.extend([second, charged(payment(2), INVOICE, 2)]);
        let used_up = PauseReason::RetriesUsedUp { code: code.into() };
        let last = [failed(payment(2), INVOICE, used_up.clone(), None, 0), paused(used_up, true)];
        given(story).at(later(24 * 12)).accepts(bounce(payment(2), code), last);
    }
    let flying = with(active_bank(), [charged(PAYMENT, INVOICE, 0)]);
    given(flying).accepts(
        bounce(PAYMENT, "account_closed"),
        [failed(PAYMENT, INVOICE, for_good("account_closed"), None, 0), paused(for_good("account_closed"), true)],
    );
}

#[test]
fn reactivating_gives_a_bank_debit_no_further_presentments() {
    let reason = PauseReason::Declined { code: "R01".into() };
    let story = with(
        active_bank(),
        [
            charged(PAYMENT, INVOICE, 0),
            failed(PAYMENT, INVOICE, reason.clone(), retry(1, later(24)), 2),
            paused(reason.clone(), false),
            resumed(ResumeReason::Reactivated, &[INVOICE]),
            charged(payment(1), INVOICE, 0),
        ],
    );
    let again = [failed(payment(1), INVOICE, reason.clone(), retry(2, later(25)), 1), paused(reason, false)];
    given(story).at(later(1)).accepts(bounce(payment(1), "R01"), again);
}

#[test]
fn a_bank_debit_is_not_presented_again_after_half_a_year() {
    let reason = PauseReason::Declined { code: "R01".into() };
    let story = with(
        active_bank(),
        [
            charged(PAYMENT, INVOICE, 0),
            failed(PAYMENT, INVOICE, reason.clone(), retry(1, later(24)), 2),
            paused(reason, false),
        ],
    );
    let facts = || claimed(payment(1), usd(10_000));
    let too_late = later(24 * 180 + 1);
    given(story.clone())
        .facts(facts())
        .at(too_late)
        .refuses(authorize(payment(1), INVOICE, 1), AutopayRefusal::PresentedTooOften);
    given(story)
        .facts(facts())
        .at(later(24 * 180))
        .accepts(authorize(payment(1), INVOICE, 1), [charged(payment(1), INVOICE, 1)]);
}

#[test]
fn a_bank_debit_that_comes_back_after_it_succeeded_kills_the_mandate() {
    let reason = PauseReason::Returned { code: "debit_not_authorized".into() };
    let paid = with(active_bank(), [charged(PAYMENT, INVOICE, 0), succeeded(PAYMENT, INVOICE)]);
    let back = [failed(PAYMENT, INVOICE, reason.clone(), None, 0), paused(reason.clone(), true)];
    given(paid.clone()).accepts(give_back(PAYMENT), back.clone());
    // Reopened, it waits for the new method, and is charged with it.
    let renewed = with(
        with(paid.clone(), back),
        [
            requested(NEW_SETUP, SetupPurpose::Reactivate),
            activated(NEW_SETUP, card("pm_2"), Some("pm_1")),
            resumed(ResumeReason::NewMethod, &[INVOICE]),
        ],
    );
    let verdict = state::<Autopay>(renewed);
    assert!(matches!(verdict.may_charge(INVOICE, usd(10_000), noon()), Verdict::Charge { attempt: 0, .. }));
    // A method that was replaced since is beyond harm; the present one is not charged for it without the resident's word.
    let replaced = [requested(NEW_SETUP, SetupPurpose::Update), activated(NEW_SETUP, card("pm_2"), Some("pm_1"))];
    given(with(paid.clone(), replaced)).accepts(
        give_back(PAYMENT),
        [failed(PAYMENT, INVOICE, reason.clone(), None, 0), paused(reason.clone(), false)],
    );
    given(with(paid, [cancelled()])).accepts(give_back(PAYMENT), [failed(PAYMENT, INVOICE, reason, None, 0)]);
    given(active_bank()).refuses(give_back(PAYMENT), AutopayRefusal::NoSuchCharge);
}

#[test]
fn a_day_is_twenty_four_hours_where_clocks_change() {
    for night in ["2026-03-08T05:00:00Z", "2026-11-01T04:00:00Z"] {
        let at = instant(night);
        let flying = with(active(), [charged(PAYMENT, INVOICE, 0)]);
        let events =
            [failed(PAYMENT, INVOICE, declined(), retry(1, at + TimeDelta::hours(24)), 3), paused(declined(), false)];
        given(flying).at(at).accepts(fail(PAYMENT, "insufficient_funds"), events);
    }
}
