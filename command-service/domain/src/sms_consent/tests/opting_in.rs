//! Agreeing to texts: only the resident, signed in, who saw the text, ticked the box and has the telephone.

use chrono::TimeDelta;
use events::{ResidentEvent, Role, resident::ResidentStatus};

use super::super::*;
use crate::{
    Actor, Channel, Command,
    testing::{
        fixtures::{PROPERTY, RESIDENT, with, zone},
        from, given, noon,
        texting::*,
    },
};

fn show() -> ShowDisclosure {
    ShowDisclosure {
        resident_id: RESIDENT,
        shown_id: SHOWN,
        property_id: PROPERTY,
        language: Language::Es,
        time_zone: zone("America/Toronto"),
    }
}

fn story(events: impl IntoIterator<Item = SmsConsentEvent>) -> crate::testing::Given<SmsConsent> {
    given(events).facts(signed_in()).by(ana()).through(portal())
}

fn refused(why: OptInRefusal, evidence: Evidence) -> SmsConsentEvent {
    let (number, number_key) = (sealed(phone()), key_of(&phone()));
    SmsConsentEvent::OptInRefused { resident_id: RESIDENT, number, number_key, why, evidence }
}

#[test]
fn what_is_shown_is_kept_to_the_letter() {
    story([]).accepts(show(), [shown()]);
    let elsewhere = ShowDisclosure { property_id: events::PropertyId(Uuid::from_u128(9)), ..show() };
    story([]).refuses(elsewhere, SmsConsentRefusal::NotLivingThere);
    assert!(disclosure().text.contains("Evergreen") && disclosure().text.contains("Maple Court"));
}

#[test]
fn a_resident_agrees_and_confirms_by_the_code() {
    story([shown()]).accepts(record(), [asked(&phone()), issued(&phone(), 1)]);
    story(pending()).accepts(confirm(RESIDENT, 1), [confirmed(&phone(), 1)]);
    story(granted()).ignores(record());
}

#[test]
fn agreeing_alone_is_no_consent() {
    given(pending()).facts(signed_in()).refuses(authorize(news()), SmsConsentRefusal::NotConfirmed);
    given([shown()]).facts(signed_in()).refuses(authorize(news()), SmsConsentRefusal::NoConsent);
}

#[test]
fn a_box_that_was_ticked_beforehand_is_refused_and_recorded() {
    let ticked = RecordSmsConsent { checkbox: Checkbox { before: true, after: true }, ..record() };
    let known = Evidence { locale: Language::En, ..evidence() };
    story([shown()]).when(ticked).then([refused(OptInRefusal::PreTicked, known)]);
    let empty = RecordSmsConsent { checkbox: Checkbox { before: false, after: false }, ..record() };
    story([shown()]).refuses(empty, SmsConsentRefusal::NotTicked);
}

#[test]
fn nobody_agrees_to_what_they_did_not_see_in_this_session_today() {
    story([]).refuses(record(), SmsConsentRefusal::NothingShown);
    let elsewhere = RecordSmsConsent { shown_id: events::ShownId(Uuid::from_u128(0xd9)), ..record() };
    story([shown()]).refuses(elsewhere, SmsConsentRefusal::NothingShown);
    let late = story([shown()]).at(noon() + TimeDelta::hours(25));
    late.refuses(record(), SmsConsentRefusal::NothingShown);
    let other = SignInId(Uuid::from_u128(0xa9));
    let session = SessionEvidence { session_id: other, ..evidence().session.expect("a session") };
    let elsewhere = SmsConsentEvent::DisclosureShown {
        resident_id: RESIDENT,
        disclosure: disclosure(),
        evidence: Evidence { session: Some(session), ..evidence() },
    };
    story([elsewhere]).refuses(record(), SmsConsentRefusal::NothingShown);
}

/// Case 32.
#[test]
fn whoever_is_not_the_resident_in_their_own_session_is_refused_and_recorded() {
    let named = |channel: &Channel, role| {
        let clear = |value: &Option<String>| value.clone().map(sealed);
        let session = channel.session.map(|_| evidence().session.expect("a session"));
        let impersonator = channel.impersonator.clone();
        Evidence {
            actor: channel.actor_name.clone(),
            role,
            session,
            impersonator,
            address: clear(&channel.address),
            user_agent: clear(&channel.user_agent),
            locale: Language::En,
            ..evidence()
        }
    };
    let impersonated = Channel { impersonator: Some("token:manager".into()), ..portal() };
    let token = Channel { session: None, actor_name: "token:7".into(), ..portal() };
    for (actor, channel, why) in [
        (ana(), impersonated, OptInRefusal::Impersonated),
        (ana(), token, OptInRefusal::NoSession),
        (Actor::of(Role::OrganizationManager), portal(), OptInRefusal::NotTheResident),
        (Actor { resident: None, ..ana() }, portal(), OptInRefusal::NotTheResident),
    ] {
        let known = named(&channel, actor.role);
        let asked = given([shown()]).facts(signed_in()).by(actor.clone()).through(channel.clone());
        let event = refused(why, known.clone());
        assert!(
            SmsConsent::verdict(&event).is_some_and(|refusal| crate::Refuse::kind(&refusal) == crate::Kind::Forbidden)
        );
        asked.when(record()).then([event.clone()]);
        // Nor with a code that they read over somebody's shoulder.
        let late = given(pending()).facts(signed_in()).by(actor).through(channel);
        let SmsConsentEvent::OptInRefused { evidence, .. } = event else { continue };
        late.when(confirm(RESIDENT, 1)).then([refused(why, Evidence { locale: Language::Es, ..evidence })]);
    }
}

#[test]
fn every_role_that_is_turned_away_leaves_a_trace() {
    for role in Role::PEOPLE.into_iter().chain([Role::Operator, Role::Process, Role::Provider]) {
        let admitted = RecordSmsConsent::ROLES.contains(&role);
        assert_eq!(admitted, role == Role::Resident, "{role:?}");
        let context = crate::Context { actor: Actor::of(role), ..crate::testing::context(signed_in()) };
        let trace = record().turned_away(&SmsConsent::default(), &context);
        let SmsConsentEvent::OptInRefused { why, evidence, .. } = &trace[0] else { panic!("{trace:?}") };
        assert_eq!((*why, evidence.role), (OptInRefusal::NotTheResident, role));
        assert!(crate::testing::state::<SmsConsent>(trace).standing().is_none());
    }
    let nobody = crate::testing::context(Facts::default());
    assert_eq!(record().turned_away(&SmsConsent::default(), &nobody), [], "nothing is kept of who is not there");
}

#[test]
fn who_types_a_code_or_asks_for_one_in_somebodys_name_leaves_a_trace_too() {
    fn traces<C: Command<Aggregate = SmsConsent>>(
        command: &C,
        role: Role,
        facts: Facts,
        events: Vec<SmsConsentEvent>,
    ) -> Vec<SmsConsentEvent> {
        assert!(C::RECORDS_THE_TURNED_AWAY && !C::ROLES.contains(&role));
        let context = crate::Context { actor: Actor::of(role), ..crate::testing::context(facts) };
        command.clone().turned_away(&crate::testing::state(events), &context)
    }
    let (code, another) = (confirm(RESIDENT, 1), RequestSmsCode { resident_id: RESIDENT });
    for role in [Role::OrganizationManager, Role::Integrator, Role::Operator] {
        // Of the number that waits, or that was confirmed, or that the record has.
        let about = |trace: Vec<SmsConsentEvent>, number: &Phone| {
            let [SmsConsentEvent::OptInRefused { why, number_key, evidence, .. }] = trace.as_slice() else {
                panic!("{trace:?}")
            };
            assert_eq!((*why, *number_key, evidence.role), (OptInRefusal::NotTheResident, key_of(number), role));
        };
        for events in [pending(), granted()] {
            about(traces(&code, role, signed_in(), events.clone()), &phone());
            about(traces(&another, role, signed_in(), events), &phone());
        }
        let recorded = || with_resident(renumbered(&["+1 305-555-0144"]));
        about(traces(&code, role, recorded(), vec![]), &other_phone());
        about(traces(&another, role, recorded(), vec![]), &other_phone());
        assert_eq!(traces(&code, role, Facts::default(), pending()), [], "nothing is kept of who is not there");
    }
    // And whoever acts in the resident's name, in the resident's own session.
    let channel = Channel { impersonator: Some("token:manager".into()), ..portal() };
    let asked = || given(pending()).facts(signed_in()).by(ana()).through(channel.clone());
    let known = Evidence { impersonator: Some("token:manager".into()), ..evidence() };
    asked().when(code.clone()).then([refused(OptInRefusal::Impersonated, known.clone())]);
    asked().when(another.clone()).then([refused(OptInRefusal::Impersonated, known)]);
    // Not even the code that was accepted a moment ago tells them anything.
    let nothing =
        given([shown()]).facts(with_resident(renumbered(&["ask at the desk"]))).by(ana()).through(channel.clone());
    nothing.refuses(code, SmsConsentRefusal::NotWhileImpersonated);
}

#[test]
fn a_number_whose_owner_said_stop_gets_no_further_code() {
    let words = |bodies: &[&str], events: Vec<SmsConsentEvent>| {
        let said = bodies.iter().zip(1_u32..).fold(events, |mut events, (body, second)| {
            let text = RecordInboundText {
                inbound_id: InboundId(Uuid::from_u128(0xe100 + u128::from(second))),
                received_at: noon() + TimeDelta::seconds(i64::from(second)),
                ..inbound(body)
            };
            let taken = text.decide(&crate::testing::state(events.clone()), &crate::testing::context(signed_in()));
            events.extend(taken.expect("taken in"));
            events
        });
        story(said).at(noon() + TimeDelta::hours(2))
    };
    let often = RequestSmsCode { resident_id: RESIDENT };
    for wish in ["ALTO", "who is this, wrong number"] {
        words(&[wish], pending()).refuses(record(), SmsConsentRefusal::Unwelcome);
    }
    words(&["wrong number"], pending()).refuses(often, SmsConsentRefusal::Unwelcome);
    // The owner takes it back; another number is another matter; and who had confirmed it may come back by the portal.
    let at = |event: SmsConsentEvent, number: &Phone| match event {
        SmsConsentEvent::ConsentRequested {
            resident_id, disclosure, checkbox, scope, source, phone_revision, ..
        } => SmsConsentEvent::ConsentRequested {
            resident_id,
            number: sealed(number.clone()),
            number_key: key_of(number),
            disclosure,
            checkbox,
            scope,
            source,
            phone_revision,
            evidence: Evidence { at: noon() + TimeDelta::hours(2), ..evidence() },
        },
        other => other,
    };
    let code = |number: &Phone| SmsConsentEvent::CodeIssued {
        resident_id: RESIDENT,
        number_key: key_of(number),
        challenge: 2,
        expires_at: noon() + TimeDelta::hours(2) + CODE_HOLDS,
    };
    let again = [at(asked(&phone()), &phone()), code(&phone())];
    words(&["stop", "start"], pending()).when(record()).then(again.clone());
    words(&["stop"], granted()).when(record()).then(again);
    let other = RecordSmsConsent { phone: other_phone(), ..record() };
    words(&["stop"], pending()).when(other).then([at(asked(&other_phone()), &other_phone()), code(&other_phone())]);
}

#[test]
fn a_closed_or_expired_session_agrees_to_nothing() {
    let late = story([shown()]).at(noon() + TimeDelta::days(15));
    let known = Evidence { at: noon() + TimeDelta::days(15), session: None, locale: Language::En, ..evidence() };
    late.when(record()).then([refused(OptInRefusal::NoSession, known)]);
}

#[test]
fn a_wrong_code_is_recorded_and_five_of_them_end_it() {
    let wrong = || ConfirmSmsConsent { resident_id: RESIDENT, code: from("000 000") };
    assert_ne!(SmsConsent::code(&crate::testing::blind(), RESIDENT, 1), "000000");
    let rejected = |attempts_left| SmsConsentEvent::CodeRejected {
        number_key: key_of(&phone()),
        challenge: 1,
        attempts_left,
        evidence: evidence(),
    };
    let mut events = pending();
    for left in (0..5).rev() {
        story(events.clone()).when(wrong()).then([rejected(left)]);
        events.push(rejected(left));
    }
    assert_eq!(SmsConsent::verdict(&rejected(4)), Some(SmsConsentRefusal::WrongCode { left: 4 }));
    assert_eq!(SmsConsent::verdict(&rejected(0)), Some(SmsConsentRefusal::NoAttemptsLeft));
    story(events.clone()).refuses(confirm(RESIDENT, 1), SmsConsentRefusal::NoAttemptsLeft);
    // Another code has attempts of its own, and the old one is nothing any more.
    story(events.clone()).when(RequestSmsCode { resident_id: RESIDENT }).then([issued(&phone(), 2)]);
    let again = with(events, [issued(&phone(), 2)]);
    story(again).when(confirm(RESIDENT, 2)).then([confirmed(&phone(), 2)]);
}

#[test]
fn a_code_is_good_for_ten_minutes_and_for_its_own_resident() {
    let at = |minutes| story(pending()).at(noon() + TimeDelta::minutes(minutes));
    at(10).refuses(confirm(RESIDENT, 1), SmsConsentRefusal::CodeExpired);
    let blind = crate::testing::blind();
    let code = |resident, challenge| SmsConsent::code(&blind, resident, challenge);
    assert_ne!(code(RESIDENT, 1), code(RESIDENT, 2));
    assert_ne!(code(RESIDENT, 1), code(ResidentId(Uuid::from_u128(0x31)), 1));
    assert!(code(RESIDENT, 1).len() == 6 && code(RESIDENT, 1).bytes().all(|digit| digit.is_ascii_digit()));
    story([shown()]).refuses(confirm(RESIDENT, 1), SmsConsentRefusal::NothingPending);
}

#[test]
fn codes_are_three_an_hour_and_six_a_day() {
    let again = || RequestSmsCode { resident_id: RESIDENT };
    story(pending()).ignores(again());
    let at = |minute: i64, challenge| SmsConsentEvent::CodeIssued {
        resident_id: RESIDENT,
        number_key: key_of(&phone()),
        challenge,
        expires_at: noon() + TimeDelta::minutes(minute) + CODE_HOLDS,
    };
    let three = with(pending(), [at(2, 2), at(4, 3)]);
    story(three.clone()).at(noon() + TimeDelta::minutes(6)).refuses(again(), SmsConsentRefusal::TooManyCodes);
    story(three.clone()).at(noon() + TimeDelta::minutes(61)).when(again()).then([at(61, 4)]);
    let six = with(three, [at(120, 4), at(200, 5), at(300, 6)]);
    story(six.clone()).at(noon() + TimeDelta::hours(10)).refuses(again(), SmsConsentRefusal::TooManyCodes);
    story(six).at(noon() + TimeDelta::hours(25)).when(again()).then([at(25 * 60, 7)]);
}

#[test]
fn saving_the_same_number_twice_sends_one_code_and_another_number_another() {
    story(pending()).ignores(record());
    let other = RecordSmsConsent { phone: other_phone(), ..record() };
    story(pending()).when(other).then([asked(&other_phone()), issued(&other_phone(), 2)]);
    // The code of the first does not confirm the second.
    let both = with(pending(), [asked(&other_phone()), issued(&other_phone(), 2)]);
    let rejected = SmsConsentEvent::CodeRejected {
        number_key: key_of(&other_phone()),
        challenge: 2,
        attempts_left: 4,
        evidence: evidence(),
    };
    story(both).when(confirm(RESIDENT, 1)).then([rejected]);
}

/// Case 37.
#[test]
fn another_number_ends_the_one_before_once_it_is_confirmed() {
    let moving = with(granted(), [asked(&other_phone()), issued(&other_phone(), 2)]);
    let former = SmsConsentEvent::ConsentInvalidated {
        resident_id: RESIDENT,
        number: sealed(phone()),
        number_key: key_of(&phone()),
        cause: InvalidationCause::NumberChanged {},
        evidence: evidence(),
    };
    let standing = crate::testing::state::<SmsConsent>(moving.clone());
    assert_eq!(standing.standing().map(|(key, ..)| key), Some(key_of(&phone())), "the old one serves until then");
    story(moving.clone()).when(confirm(RESIDENT, 2)).then([former.clone(), confirmed(&other_phone(), 2)]);
    let moved: SmsConsent = crate::testing::state(with(moving, [former, confirmed(&other_phone(), 2)]));
    assert_eq!(moved.standing().map(|(key, ..)| key), Some(key_of(&other_phone())));
}

#[test]
fn who_left_or_is_not_written_to_confirms_nothing() {
    use crate::testing::fixtures::{UNIT, day, resident};
    let gone = ResidentEvent::ResidentMovedOut { property_id: PROPERTY, unit_id: UNIT, on: day("2026-02-01") };
    let inactive = ResidentEvent::ResidentStatusChanged { status: ResidentStatus::Inactive };
    for (event, refusal) in [(gone, SmsConsentRefusal::MovedOut), (inactive, SmsConsentRefusal::ResidentInactive)] {
        let facts = with_resident(with(resident(), [event]));
        given(pending()).facts(facts).by(ana()).through(portal()).refuses(confirm(RESIDENT, 1), refusal);
    }
    let facts = with_resident(renumbered(&["+13055550144"]));
    given(pending())
        .facts(facts)
        .by(ana())
        .through(portal())
        .refuses(confirm(RESIDENT, 1), SmsConsentRefusal::NumberChanged);
}
