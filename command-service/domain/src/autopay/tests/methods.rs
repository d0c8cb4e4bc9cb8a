//! What happens to the method and to the wish.

use events::{Currency, autopay::Departure};

use super::*;
use crate::testing::{
    fixtures::{UNIT, money, resident},
    noon,
};

fn revoke() -> RevokeMandate {
    RevokeMandate { autopay_id: autopay_id(), mandate: "mandate_1".into() }
}

fn lose(payment_method: &str) -> LoseMethod {
    LoseMethod { autopay_id: autopay_id(), payment_method: payment_method.into(), because: Loss::Removed }
}

fn refresh(card: CardSummary) -> RefreshMethod {
    RefreshMethod { autopay_id: autopay_id(), payment_method: "pm_1".into(), card }
}

fn cap(cap: Option<Money>) -> SetAutopayCap {
    SetAutopayCap { property_id: PROPERTY, resident_id: RESIDENT, cap }
}

#[test]
fn cancelling_is_immediate_from_everywhere_and_once() {
    given(active()).accepts(cancel(), [cancelled()]);
    given(paused_for_invoice()).accepts(cancel(), [cancelled()]);
    given(pending()).accepts(cancel(), [AutopayEvent::AutopayCancelled { payment_method: None, because: None }]);
    given(with(active(), [cancelled()])).ignores(cancel());
    given([]).refuses(cancel(), AutopayRefusal::NotFound);
    let failed = AutopayEvent::AutopaySetupFailed { setup_id: SETUP, code: "canceled".into() };
    given(with(pending(), [failed])).ignores(cancel());
}

#[test]
fn a_process_cancels_for_those_who_left_with_the_reason_and_for_nobody_else() {
    let by = || crate::Actor::of(Role::Process);
    let who = |events: Vec<events::ResidentEvent>| Facts {
        resident: Some(state(resident().into_iter().chain(events))),
        ..Facts::default()
    };
    let (on, unit_id) = (noon().date_naive(), UNIT);
    let left = events::ResidentEvent::ResidentMovedOut { property_id: PROPERTY, unit_id, on };
    let inactive = events::ResidentEvent::ResidentStatusChanged { status: events::resident::ResidentStatus::Inactive };
    let erased = events::ResidentEvent::ResidentErased { purposes: vec![], retained: vec![] };
    for (events, because) in
        [(vec![left], Departure::MovedOut), (vec![inactive], Departure::Deactivated), (vec![erased], Departure::Erased)]
    {
        let cancelled = AutopayEvent::AutopayCancelled { payment_method: Some("pm_1".into()), because: Some(because) };
        given(active()).by(by()).facts(who(events)).accepts(cancel(), [cancelled]);
    }
    given(active()).by(by()).facts(who(vec![])).ignores(cancel());
}

#[test]
fn after_a_cancel_late_reports_of_the_method_change_nothing() {
    let over = with(active(), [cancelled()]);
    for late in [lose("pm_1"), lose("pm_2")] {
        given(over.clone()).ignores(late);
    }
    given(over.clone()).ignores(revoke());
    given(over.clone()).ignores(refresh(visa()));
    given(with(pending(), [cancelled()])).ignores(confirmed(SETUP, "pm_1"));
    assert_eq!(state::<Autopay>(over).status(), Status::Cancelled);
}

#[test]
fn a_revoked_mandate_pauses_until_there_is_a_new_method() {
    given(active_bank()).accepts(revoke(), [paused(PauseReason::MandateRevoked, true)]);
    given(active()).ignores(revoke());
    let other = RevokeMandate { mandate: "mandate_0".into(), ..revoke() };
    given(active_bank()).ignores(other);
    given([]).refuses(revoke(), AutopayRefusal::NotFound);
}

#[test]
fn a_detached_method_pauses_unless_it_was_replaced_before() {
    given(active()).accepts(lose("pm_1"), [paused(PauseReason::MethodDetached, true)]);
    given(active()).ignores(lose("pm_0"));
    given(dead()).ignores(lose("pm_1"));
    given([]).refuses(lose("pm_1"), AutopayRefusal::NotFound);
    // The scheduled retry has nothing to charge any more.
    given(paused_for_invoice()).accepts(lose("pm_1"), [paused(PauseReason::MethodDetached, true)]);
    let lost = state::<Autopay>(with(paused_for_invoice(), [paused(PauseReason::MethodDetached, true)]));
    assert_eq!((lost.next_retry(), lost.waiting()), (None, vec![INVOICE]));
}

#[test]
fn the_networks_new_date_of_the_same_card_is_kept() {
    let newer = CardSummary { exp_year: 2034, ..visa() };
    let method = AutopayMethod { card: Some(newer.clone()), ..card("pm_1") };
    let refreshed = AutopayEvent::AutopayMethodRefreshed { method: method.clone() };
    given(active()).accepts(refresh(newer.clone()), [refreshed.clone()]);
    given(active()).ignores(refresh(visa()));
    given(active()).ignores(RefreshMethod { payment_method: "pm_0".into(), ..refresh(newer.clone()) });
    given([]).refuses(refresh(newer.clone()), AutopayRefusal::NotFound);
    assert_eq!(state::<Autopay>(with(active(), [refreshed.clone()])).method(), Some(&method));
    // An expired card that got a new date can be reactivated; a lost one cannot.
    let expired = PauseReason::DeclinedForGood { code: "expired_card".into() };
    given(with(active(), [paused(expired.clone(), true)]))
        .accepts(refresh(newer.clone()), [refreshed.clone(), paused(expired, false)]);
    given(dead()).accepts(refresh(newer), [refreshed]);
}

#[test]
fn the_cap_is_in_the_propertys_currency_and_outlives_a_cancel() {
    let changed = |cap| AutopayEvent::AutopayCapChanged { cap };
    given(active()).facts(community()).accepts(cap(Some(usd(5_000))), [changed(Some(usd(5_000)))]);
    given(pending()).facts(community()).accepts(cap(Some(usd(5_000))), [changed(Some(usd(5_000)))]);
    given(active()).facts(community()).ignores(cap(None));
    let capped = with(active(), [changed(Some(usd(5_000)))]);
    given(capped.clone()).facts(community()).accepts(cap(None), [changed(None)]);
    let euros = Some(money(5_000, Currency::EUR));
    given(active()).facts(community()).refuses(cap(euros), AutopayRefusal::WrongCurrency { expected: Currency::USD });
    given(active()).facts(community()).refuses(cap(Some(usd(0))), AutopayRefusal::BadCap);
    given(active()).refuses(cap(Some(usd(1))), AutopayRefusal::NoSuchProperty);
    for off in [vec![], with(active(), [cancelled()])] {
        given(off).facts(community()).refuses(cap(Some(usd(1))), AutopayRefusal::NotEnabled);
    }
    assert_eq!(state::<Autopay>(with(capped, [cancelled()])).cap(), Some(usd(5_000)));
}
