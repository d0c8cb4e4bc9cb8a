//! The last look, and everything that says no.

use events::Currency;

use super::*;
use crate::testing::fixtures::{money, quoted};

fn hold(amount: i64) -> HoldCharge {
    HoldCharge { autopay_id: autopay_id(), invoice_id: INVOICE, due_on: day("2026-03-01"), amount: usd(amount) }
}

fn approve(amount: i64) -> ApproveCharge {
    ApproveCharge { property_id: PROPERTY, resident_id: RESIDENT, invoice_id: INVOICE, amount: usd(amount) }
}

fn held(amount: i64, cap: Money) -> AutopayEvent {
    AutopayEvent::ChargeHeld { invoice_id: INVOICE, due_on: day("2026-03-01"), amount: usd(amount), cap }
}

fn approved(amount: i64) -> AutopayEvent {
    AutopayEvent::ChargeApproved { invoice_id: INVOICE, amount: usd(amount) }
}

/// Asks above 50.00.
fn capped() -> Vec<AutopayEvent> {
    with(active(), [AutopayEvent::AutopayCapChanged { cap: Some(usd(5_000)) }])
}

fn ready() -> Facts {
    claimed(PAYMENT, usd(10_000))
}

#[test]
fn a_due_invoice_that_is_claimed_is_authorized_once() {
    given(active()).facts(ready()).accepts(authorize(PAYMENT, INVOICE, 0), [charged(PAYMENT, INVOICE, 0)]);
    let flying = with(active(), [charged(PAYMENT, INVOICE, 0)]);
    // The answer to the repeat is yes even after a cancel: this charge came first.
    given(with(flying.clone(), [cancelled()])).ignores(authorize(PAYMENT, INVOICE, 0));
    let facts = || claimed(payment(1), usd(10_000));
    given(flying.clone()).facts(facts()).refuses(authorize(payment(1), INVOICE, 0), AutopayRefusal::ChargeInFlight);
    let other = AuthorizeCharge { amount: usd(9_000), ..authorize(PAYMENT, INVOICE, 0) };
    given(flying.clone()).facts(ready()).refuses(other, AutopayRefusal::ChargeOfOther);
    let done = with(flying.clone(), [succeeded(PAYMENT, INVOICE)]);
    given(done.clone()).facts(facts()).refuses(authorize(payment(1), INVOICE, 0), AutopayRefusal::AlreadyCharged);
    given(done).ignores(authorize(PAYMENT, INVOICE, 0));
    let withdrawn = AutopayEvent::ChargeWithdrawn { payment_id: PAYMENT, invoice_id: INVOICE };
    let withdrawn = with(flying, [withdrawn]);
    given(withdrawn.clone()).facts(ready()).refuses(authorize(PAYMENT, INVOICE, 0), AutopayRefusal::ChargeEnded);
    given(withdrawn).facts(facts()).accepts(authorize(payment(1), INVOICE, 0), [charged(payment(1), INVOICE, 0)]);
}

#[test]
fn nothing_is_authorized_unless_autopay_is_on() {
    given([]).facts(ready()).refuses(authorize(PAYMENT, INVOICE, 0), AutopayRefusal::NotFound);
    for off in [pending(), with(active(), [cancelled()])] {
        given(off).facts(ready()).refuses(authorize(PAYMENT, INVOICE, 0), AutopayRefusal::NotEnabled);
    }
    given(dead())
        .facts(claimed(payment(1), usd(10_000)))
        .refuses(authorize(payment(1), SECOND, 0), AutopayRefusal::Paused);
}

#[test]
fn the_claim_on_the_invoice_comes_first() {
    let refuses = |facts: Facts| {
        given(active()).facts(facts).refuses(authorize(PAYMENT, INVOICE, 0), AutopayRefusal::NotReserved);
    };
    refuses(community());
    refuses(Facts { invoice: Some(crate::Invoice::default()), ..community() });
    refuses(claimed(payment(1), usd(10_000)));
    refuses(claimed(PAYMENT, usd(9_000)));
    let published = InvoiceEvent::InvoicePublished { resident_id: RESIDENT, notify: true };
    let unclaimed = [drafted_of(usd(10_000), "2026-03-01", "America/New_York"), published];
    refuses(Facts { invoice: Some(state(unclaimed)), ..community() });
    // Somebody else's invoice is never charged here, claimed or not.
    let property = events::PropertyId(Uuid::from_u128(0x11));
    let elsewhere = wished(SETUP, SetupPurpose::Enable, Wish { property, ..WISH });
    let elsewhere = vec![elsewhere, activated(SETUP, card("pm_1"), None)];
    given(elsewhere).facts(ready()).refuses(authorize(PAYMENT, INVOICE, 0), AutopayRefusal::NotReserved);
}

#[test]
fn an_invoice_whose_day_was_moved_is_not_charged_before_it() {
    let reserved = InvoiceEvent::PaymentReserved { payment_id: PAYMENT, amount: usd(10_000) };
    let moved = |zone| {
        let published = InvoiceEvent::InvoicePublished { resident_id: RESIDENT, notify: true };
        let events = [drafted_of(usd(10_000), "2026-03-02", zone), published, reserved.clone()];
        Facts { invoice: Some(state(events)), ..community() }
    };
    let refusal = AutopayRefusal::NotDue { due_on: day("2026-03-02") };
    let yes = [charged(PAYMENT, INVOICE, 0)];
    given(active()).facts(moved("America/New_York")).refuses(authorize(PAYMENT, INVOICE, 0), refusal.clone());
    // The day is the property's: at noon in UTC it is 2 March on Kiritimati, at 05:00 the next day it is in New York too.
    given(active()).facts(moved("Pacific/Kiritimati")).accepts(authorize(PAYMENT, INVOICE, 0), yes.clone());
    let at = instant("2026-03-02T04:59:59Z");
    given(active()).facts(moved("America/New_York")).at(at).refuses(authorize(PAYMENT, INVOICE, 0), refusal);
    let at = instant("2026-03-02T05:00:00Z");
    given(active()).facts(moved("America/New_York")).at(at).accepts(authorize(PAYMENT, INVOICE, 0), yes);
}

#[test]
fn a_method_of_another_stripe_account_is_not_charged() {
    let there = wished(SETUP, SetupPurpose::Enable, Wish { account: OTHER_ACCOUNT, ..WISH });
    let moved = vec![there, activated(SETUP, card("pm_1"), None)];
    let facts = Facts { payment: Some(state::<crate::Payment>([quoted()])), ..ready() };
    given(moved.clone()).facts(facts).refuses(authorize(PAYMENT, INVOICE, 0), AutopayRefusal::MethodOfOtherAccount);
    // The worker says so, and the resident is asked for a new method.
    let lose = LoseMethod { autopay_id: autopay_id(), payment_method: "pm_1".into(), because: Loss::AccountChanged };
    given(moved).accepts(lose, [paused(PauseReason::AccountChanged, true)]);
    let facts = Facts { payment: Some(state::<crate::Payment>([quoted()])), ..ready() };
    given(active()).facts(facts).accepts(authorize(PAYMENT, INVOICE, 0), [charged(PAYMENT, INVOICE, 0)]);
}

#[test]
fn a_fee_that_was_worked_out_for_another_method_is_not_charged() {
    let told = |method: &str| AuthorizeCharge { payment_method: Some(method.into()), ..authorize(PAYMENT, INVOICE, 0) };
    given(active()).facts(ready()).refuses(told("pm_0"), AutopayRefusal::MethodChanged);
    given(active()).facts(ready()).accepts(told("pm_1"), [charged(PAYMENT, INVOICE, 0)]);
    // Quoted for a card, and it is a bank account now.
    let facts = Facts { payment: Some(state::<crate::Payment>([quoted()])), ..ready() };
    given(active_bank()).facts(facts).refuses(authorize(PAYMENT, INVOICE, 0), AutopayRefusal::MethodChanged);
}

#[test]
fn above_the_cap_the_resident_is_asked_first() {
    let refusal = AutopayRefusal::AboveCap { cap: usd(5_000) };
    given(capped()).facts(ready()).refuses(authorize(PAYMENT, INVOICE, 0), refusal.clone());
    given(capped()).accepts(hold(10_000), [held(10_000, usd(5_000))]);
    given(capped()).refuses(hold(5_000), AutopayRefusal::NotAboveCap);
    let asked = with(capped(), [held(10_000, usd(5_000))]);
    given(asked.clone()).accepts(approve(10_000), [approved(10_000)]);
    given(asked.clone()).refuses(approve(9_000), AutopayRefusal::AmountChanged { amount: usd(10_000) });
    given(asked.clone()).accepts(hold(11_000), [held(11_000, usd(5_000))]);
    given(capped()).refuses(approve(10_000), AutopayRefusal::NotHeld);
    given([]).refuses(approve(10_000), AutopayRefusal::NotFound);
    given([]).refuses(hold(10_000), AutopayRefusal::NotFound);
    let agreed = with(asked, [approved(10_000)]);
    given(agreed.clone()).facts(ready()).accepts(authorize(PAYMENT, INVOICE, 0), [charged(PAYMENT, INVOICE, 0)]);
    given(agreed.clone()).refuses(hold(10_000), AutopayRefusal::NotAboveCap);
    let amount = usd(9_000);
    let less = AuthorizeCharge { amount, ..authorize(PAYMENT, INVOICE, 0) };
    given(agreed.clone()).facts(claimed(PAYMENT, amount)).refuses(less, refusal);
    given(agreed).accepts(hold(9_000), [held(9_000, usd(5_000))]);
}

#[test]
fn a_cap_that_is_lifted_lets_held_invoices_go() {
    let lifted = with(capped(), [held(10_000, usd(5_000)), AutopayEvent::AutopayCapChanged { cap: None }]);
    let autopay = state::<Autopay>(lifted);
    assert_eq!(
        autopay.held().map(|(invoice, held)| (invoice, held.amount)).collect::<Vec<_>>(),
        [(INVOICE, usd(10_000))]
    );
    assert!(matches!(autopay.may_charge(INVOICE, usd(10_000), noon()), Verdict::Charge { attempt: 0, .. }));
}

#[test]
fn a_cap_in_another_currency_always_asks() {
    let cap = money(50_000, Currency::CAD);
    let foreign = with(active(), [AutopayEvent::AutopayCapChanged { cap: Some(cap) }]);
    assert_eq!(state::<Autopay>(foreign).may_charge(INVOICE, usd(1), noon()), Verdict::Ask { cap });
}

#[test]
fn an_approval_holds_through_the_retries_of_its_charge() {
    let story = with(
        capped(),
        [
            held(10_000, usd(5_000)),
            approved(10_000),
            charged(PAYMENT, INVOICE, 0),
            failed(PAYMENT, INVOICE, declined(), retry(1, later(24)), 3),
            paused(declined(), false),
        ],
    );
    given(story)
        .facts(claimed(payment(1), usd(10_000)))
        .at(later(24))
        .accepts(authorize(payment(1), INVOICE, 1), [charged(payment(1), INVOICE, 1)]);
}

#[test]
fn a_cap_set_during_the_pause_asks_before_the_retry() {
    let story = with(paused_for_invoice(), [AutopayEvent::AutopayCapChanged { cap: Some(usd(5_000)) }]);
    given(story.clone()).refuses(hold(10_000), AutopayRefusal::Paused);
    given(story.clone()).at(later(24)).accepts(hold(10_000), [held(10_000, usd(5_000))]);
    let agreed = with(story, [held(10_000, usd(5_000)), approved(10_000)]);
    let autopay = state::<Autopay>(agreed);
    assert!(matches!(autopay.may_charge(INVOICE, usd(10_000), later(24)), Verdict::Charge { attempt: 1, .. }));
}

#[test]
fn due_invoices_wait_while_autopay_is_paused_and_only_then() {
    let deferred = AutopayEvent::ChargeDeferred { invoice_id: SECOND, due_on: day("2026-03-02") };
    given(dead()).accepts(defer(SECOND, "2026-03-02"), [deferred]);
    given(dead()).ignores(defer(INVOICE, "2026-03-01"));
    given(active()).refuses(defer(SECOND, "2026-03-02"), AutopayRefusal::NotPaused);
    given(with(active(), [cancelled()])).refuses(defer(SECOND, "2026-03-02"), AutopayRefusal::NotEnabled);
    given([]).refuses(defer(SECOND, "2026-03-02"), AutopayRefusal::NotFound);
    let flying = with(active(), [charged(PAYMENT, INVOICE, 0)]);
    given(flying.clone()).ignores(defer(INVOICE, "2026-03-01"));
    given(flying.clone()).ignores(hold(10_000));
    given(with(flying, [succeeded(PAYMENT, INVOICE)])).ignores(defer(INVOICE, "2026-03-01"));
    given(dead()).refuses(hold(10_000), AutopayRefusal::Paused);
}

#[test]
fn the_verdict_says_what_to_do() {
    let look = |events: Vec<AutopayEvent>, invoice, check: fn(&Verdict<'_>) -> bool| {
        let autopay = state::<Autopay>(events);
        let verdict = autopay.may_charge(invoice, usd(10_000), noon());
        assert!(check(&verdict), "{verdict:?}");
    };
    look(
        active(),
        INVOICE,
        |verdict| matches!(verdict, Verdict::Charge { method, account: ACCOUNT, attempt: 0 } if **method == card("pm_1")),
    );
    look(vec![], INVOICE, |verdict| matches!(verdict, Verdict::No(NoCharge::NotEnabled)));
    look(pending(), INVOICE, |verdict| matches!(verdict, Verdict::No(NoCharge::NotEnabled)));
    look(with(active(), [charged(PAYMENT, INVOICE, 0)]), INVOICE, |verdict| {
        matches!(verdict, Verdict::No(NoCharge::InFlight(PAYMENT)))
    });
    look(with(active(), [charged(PAYMENT, INVOICE, 0), succeeded(PAYMENT, INVOICE)]), INVOICE, |verdict| {
        matches!(verdict, Verdict::No(NoCharge::Charged))
    });
    look(
        paused_for_invoice(),
        INVOICE,
        |verdict| matches!(verdict, Verdict::Wait { until: Some(at), .. } if *at == later(24)),
    );
    look(paused_for_invoice(), SECOND, |verdict| matches!(verdict, Verdict::Wait { until: None, .. }));
    look(capped(), INVOICE, |verdict| matches!(verdict, Verdict::Ask { cap } if *cap == usd(5_000)));
}
