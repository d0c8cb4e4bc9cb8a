//! Who they are and where they live; and what is left when they are erased.

use super::*;
use crate::{
    Actor,
    testing::{
        fixtures::{PROPERTY, RESIDENT, UNIT, community, day, instant, resident, with},
        from, given, state, texting,
    },
};

const OTHER_UNIT: UnitId = UnitId(Uuid::from_u128(0x21));

fn register() -> RegisterResident {
    RegisterResident {
        resident_id: RESIDENT,
        name: from(json!({ "first": "Ana", "last": "Ruiz" })),
        email: Some(from("ana@example.com")),
        phone: None,
        language: Language::Es,
        home: Home { property_id: PROPERTY, unit_id: UNIT, tenure: Tenure::Owner, on: day("2026-01-01") },
    }
}

fn finance() -> Retained {
    let rule = Some(RetentionRule::FinancialRecords);
    Retained { purpose: Purpose::Finance, until: day("2033-03-01"), rule }
}

fn consent(until: &str) -> Retained {
    Retained { purpose: Purpose::Consent, until: day(until), rule: Some(RetentionRule::ConsentEvidence) }
}

/// Nobody ever agreed to anything.
fn erased() -> ResidentEvent {
    ResidentEvent::ResidentErased {
        purposes: vec![Purpose::Contact, Purpose::Message, Purpose::Consent],
        retained: vec![finance()],
    }
}

/// There is evidence of the first of March 2026.
fn erased_with_evidence() -> ResidentEvent {
    ResidentEvent::ResidentErased {
        purposes: vec![Purpose::Contact, Purpose::Message],
        retained: vec![finance(), consent("2031-03-02")],
    }
}

fn with_consent(events: Vec<events::SmsConsentEvent>) -> Facts {
    Facts { sms_consent: Some(state(events)), ..community() }
}

fn gone() -> Vec<ResidentEvent> {
    with(resident(), [erased()])
}

fn move_out(on: &str) -> MoveResidentOut {
    MoveResidentOut { resident_id: RESIDENT, unit_id: UNIT, on: day(on) }
}

fn moved_out(on: &str) -> ResidentEvent {
    ResidentEvent::ResidentMovedOut { property_id: PROPERTY, unit_id: UNIT, on: day(on) }
}

/// Accepted, repeated, and refused where there is nobody.
fn changes<C: Command<Aggregate = Resident>>(command: C, event: ResidentEvent) {
    given([]).refuses(command.clone(), ResidentRefusal::NotFound);
    given(gone()).refuses(command.clone(), ResidentRefusal::Erased);
    assert_eq!(
        command.scope(&state(resident())),
        Scope { properties: vec![PROPERTY], resident: Some(RESIDENT) },
        "managers of the property and the resident may ask"
    );
    given(resident()).accepts(command, [event]);
}

#[test]
fn a_resident_is_registered_with_a_home_once() {
    given([]).facts(community()).accepts(register(), resident());
    let namesake = RegisterResident { name: from(json!({ "last": "Other" })), ..register() };
    given(resident()).facts(community()).refuses(namesake, ResidentRefusal::RegisteredOtherwise);
    given(gone()).facts(community()).ignores(register());
    given([]).refuses(register(), ResidentRefusal::NoSuchUnit);
    let elsewhere = Home { property_id: PropertyId(Uuid::from_u128(9)), ..register().home };
    given([])
        .facts(community())
        .refuses(RegisterResident { home: elsewhere, ..register() }, ResidentRefusal::NoSuchUnit);
}

#[test]
fn details_are_corrected() {
    let sealed = |value: &str| Sealed::new(RESIDENT.0, Purpose::Contact, from(value));
    let name = from(json!({ "last": "Ruiz Vega" }));
    changes(
        RenameResident { resident_id: RESIDENT, name },
        ResidentEvent::ResidentRenamed {
            name: Sealed::new(RESIDENT.0, Purpose::Contact, from(json!({ "last": "Ruiz Vega" }))),
        },
    );
    changes(
        ChangeResidentEmail { resident_id: RESIDENT, email: Some(from("ana@example.org")) },
        ResidentEvent::ResidentEmailChanged { email: Some(sealed("ana@example.org")) },
    );
    changes(
        ChangeResidentEmail { resident_id: RESIDENT, email: None },
        ResidentEvent::ResidentEmailChanged { email: None },
    );
    changes(
        ChangeResidentPhone { resident_id: RESIDENT, phone: Some(from("+13055550143")) },
        ResidentEvent::ResidentPhoneChanged {
            phone: Some(Sealed::new(RESIDENT.0, Purpose::Contact, from("+13055550143"))),
        },
    );
    changes(
        ChangeResidentLanguage { resident_id: RESIDENT, language: Language::Fr },
        ResidentEvent::ResidentLanguageChanged { language: Language::Fr },
    );
    changes(
        ChangeResidentStatus { resident_id: RESIDENT, status: ResidentStatus::Inactive },
        ResidentEvent::ResidentStatusChanged { status: ResidentStatus::Inactive },
    );
}

#[test]
fn a_resident_lives_in_several_units() {
    let home = Home { unit_id: UNIT, ..register().home };
    let move_in = |home| MoveResidentIn { resident_id: RESIDENT, home };
    given(resident()).facts(community()).ignores(move_in(home));
    let back = moved_in(Home { on: day("2026-03-01"), ..home });
    given(with(resident(), [moved_out("2026-02-01")]))
        .facts(community())
        .accepts(move_in(Home { on: day("2026-03-01"), ..home }), [back]);
    given([]).facts(community()).refuses(move_in(home), ResidentRefusal::NotFound);
    given(gone()).facts(community()).refuses(move_in(home), ResidentRefusal::Erased);
    given(resident()).refuses(move_in(home), ResidentRefusal::NoSuchUnit);
    let both = state::<Resident>(with(resident(), [moved_in(Home { unit_id: OTHER_UNIT, ..home })]));
    assert!(both.lives_in(UNIT) && both.lives_in(OTHER_UNIT));
}

#[test]
fn a_resident_leaves_a_unit_once() {
    given(resident()).accepts(move_out("2026-03-01"), [moved_out("2026-03-01")]);
    given(gone()).accepts(move_out("2026-03-01"), [moved_out("2026-03-01")]);
    given(with(resident(), [moved_out("2026-03-01")])).refuses(move_out("2026-03-02"), ResidentRefusal::NotLivingThere);
    given(resident()).refuses(move_out("2025-12-31"), ResidentRefusal::LeftBeforeComing);
    given([]).refuses(move_out("2026-03-01"), ResidentRefusal::NotFound);
    let other = MoveResidentOut { unit_id: OTHER_UNIT, ..move_out("2026-03-01") };
    given(resident()).refuses(other, ResidentRefusal::NotLivingThere);
}

#[test]
fn managers_of_a_property_may_repeat_a_move_out_and_change_nothing_else_of_who_left() {
    let left = state::<Resident>(with(resident(), [moved_out("2026-03-01")]));
    assert!(!left.lives_in(UNIT) && left.has_left(UNIT));
    assert_eq!(move_out("2026-03-01").scope(&left).properties, [PROPERTY]);
    assert_eq!(move_out("2026-03-01").scope(&state(resident())), Scope::property(PROPERTY));
    let email = ChangeResidentEmail { resident_id: RESIDENT, email: None };
    assert_eq!(email.scope(&left).properties, []);
}

#[test]
fn managers_of_one_property_cannot_fetch_a_resident_out_of_another() {
    let other = PropertyId(Uuid::from_u128(9));
    let home = Home { property_id: other, unit_id: OTHER_UNIT, tenure: Tenure::Owner, on: day("2026-02-01") };
    let fetch = MoveResidentIn { resident_id: RESIDENT, home };
    given(resident())
        .by(Actor { property: Some(other), ..Actor::of(Role::PropertyManager) })
        .refuses(fetch, ResidentRefusal::NotFound);
}

const ELSEWHERE: PropertyId = PropertyId(Uuid::from_u128(9));

/// They moved on to another property.
fn moved_on() -> Vec<ResidentEvent> {
    let home = Home { property_id: ELSEWHERE, unit_id: OTHER_UNIT, tenure: Tenure::Owner, on: day("2026-03-02") };
    with(resident(), [moved_in(home), moved_out("2026-03-01")])
}

fn manager() -> Actor {
    Actor { property: Some(PROPERTY), ..Actor::of(Role::PropertyManager) }
}

#[test]
fn managers_of_a_former_home_cannot_fetch_a_resident_back_from_where_they_live_now() {
    let back = MoveResidentIn { resident_id: RESIDENT, home: Home { on: day("2026-04-01"), ..register().home } };
    given(moved_on()).facts(community()).by(manager()).refuses(back.clone(), ResidentRefusal::NotFound);
    given(moved_on()).facts(community()).accepts(back.clone(), [moved_in(back.home)]);
    // Who lives nowhere may come back, and who lives here may take another unit.
    let left = with(resident(), [moved_out("2026-03-01")]);
    given(left).facts(community()).by(manager()).accepts(back.clone(), [moved_in(back.home)]);
    given(resident()).facts(community()).by(manager()).ignores(back);
}

#[test]
fn managers_of_one_of_two_homes_do_not_change_how_the_resident_is_reached() {
    let second = Home { property_id: ELSEWHERE, unit_id: OTHER_UNIT, tenure: Tenure::Owner, on: day("2026-03-02") };
    let both = with(resident(), [moved_in(second)]);
    let email = ChangeResidentEmail { resident_id: RESIDENT, email: None };
    let phone = ChangeResidentPhone { resident_id: RESIDENT, phone: Some(from("+13055550143")) };
    given(both.clone()).by(manager()).refuses(email.clone(), ResidentRefusal::LivesElsewhereToo);
    given(both.clone()).by(manager()).refuses(phone, ResidentRefusal::LivesElsewhereToo);
    let changed = [ResidentEvent::ResidentEmailChanged { email: None }];
    given(resident()).by(manager()).accepts(email.clone(), changed.clone());
    for actor in [Actor::of(Role::OrganizationManager), Actor { resident: Some(RESIDENT), ..Actor::of(Role::Resident) }]
    {
        given(both.clone()).by(actor).accepts(email.clone(), changed.clone());
    }
}

#[test]
fn erasure_destroys_contact_and_keeps_what_the_law_wants() {
    let erase = EraseResident { resident_id: RESIDENT };
    given(resident()).accepts(erase.clone(), [erased()]);
    given([]).refuses(erase, ResidentRefusal::NotFound);
    assert!(state::<Resident>(resident()).is_active());
    assert!(!state::<Resident>(gone()).is_active());
    let inactive = ResidentEvent::ResidentStatusChanged { status: ResidentStatus::Inactive };
    assert!(!state::<Resident>(with(resident(), [inactive])).is_active());
}

#[test]
fn evidence_of_consent_outlives_an_erasure_and_what_was_only_shown_does_not() {
    let erase = || EraseResident { resident_id: RESIDENT };
    given(resident()).facts(with_consent(texting::granted())).accepts(erase(), [erased_with_evidence()]);
    given(resident()).facts(with_consent(vec![texting::shown()])).accepts(erase(), [erased()]);
    // Asked twice while it is held: nothing is moved.
    let held = with(resident(), [erased_with_evidence()]);
    given(held).facts(with_consent(texting::granted())).ignores(erase());
}

#[test]
fn evidence_that_is_old_enough_is_destroyed_at_once() {
    let erase = EraseResident { resident_id: RESIDENT };
    given(resident()).facts(with_consent(texting::granted())).at(instant("2031-03-02T00:00:00Z")).accepts(
        erase,
        [ResidentEvent::ResidentErased {
            purposes: vec![Purpose::Contact, Purpose::Message, Purpose::Consent],
            retained: vec![Retained { until: day("2038-03-02"), ..finance() }],
        }],
    );
}

#[test]
fn a_retention_ends_on_its_day_and_not_before() {
    let end = || EndRetention { resident_id: RESIDENT };
    let held = || with(resident(), [erased_with_evidence()]);
    let story = |at: &str| given(held()).facts(with_consent(texting::granted())).at(instant(at));
    story("2031-03-01T23:59:59Z").ignores(end());
    let ended = ResidentEvent::ResidentErased { purposes: vec![Purpose::Consent], retained: vec![finance()] };
    story("2031-03-02T00:00:00Z").accepts(end(), [ended.clone()]);
    // The timer comes twice, or was late for both.
    let after = with(held(), [ended]);
    given(after.clone()).facts(with_consent(texting::granted())).at(instant("2031-03-02T00:00:00Z")).ignores(end());
    let rest = ResidentEvent::ResidentErased { purposes: vec![Purpose::Finance], retained: vec![] };
    given(after).at(instant("2033-03-01T00:00:00Z")).accepts(end(), [rest]);
    let all = ResidentEvent::ResidentErased { purposes: vec![Purpose::Finance, Purpose::Consent], retained: vec![] };
    story("2040-01-01T00:00:00Z").accepts(end(), [all]);
    // Somebody who was never erased has nothing that could end.
    given(resident()).at(instant("2040-01-01T00:00:00Z")).ignores(end());
}

#[test]
fn a_stop_after_the_erasure_moves_the_retention_of_its_evidence() {
    let received_at = instant("2028-05-05T10:00:00Z");
    let stop = crate::sms_consent::RecordInboundText { received_at, ..texting::inbound("STOP") };
    let held = with(resident(), [erased_with_evidence()]);
    let context = crate::testing::context(texting::with_resident(held.clone()));
    let word = stop.decide(&state(texting::granted()), &context).expect("a word is taken in");
    let later = with(texting::granted(), word);
    given(held).facts(with_consent(later)).at(instant("2031-03-02T00:00:00Z")).accepts(
        EndRetention { resident_id: RESIDENT },
        [ResidentEvent::ResidentErased { purposes: vec![], retained: vec![finance(), consent("2033-05-06")] }],
    );
}

#[test]
fn an_erasure_from_before_rules_were_recorded_ends_too() {
    let old = ResidentEvent::ResidentErased {
        purposes: vec![Purpose::Contact, Purpose::Message],
        retained: vec![Retained { rule: None, ..consent("2031-03-01") }],
    };
    let ended = ResidentEvent::ResidentErased { purposes: vec![Purpose::Consent], retained: vec![] };
    given(with(resident(), [old]))
        .at(instant("2031-03-01T00:00:00Z"))
        .accepts(EndRetention { resident_id: RESIDENT }, [ended]);
}
