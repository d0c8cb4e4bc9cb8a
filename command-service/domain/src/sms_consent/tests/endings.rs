//! What ends consent besides words.

use events::{ResidentEvent, resident::ResidentStatus, sms_consent::RevocationCause};

use super::super::*;
use crate::{
    Actor, Channel,
    testing::{
        fixtures::{PROPERTY, RESIDENT, UNIT, day, resident, with, zone},
        from, given, state,
        texting::*,
    },
};

fn by(actor: &str, role: Role) -> Evidence {
    let (session, address, user_agent) = (None, None, None);
    Evidence { actor: actor.into(), role, session, address, user_agent, zone: zone("America/Toronto"), ..evidence() }
}

fn revoked(cause: RevocationCause, evidence: Evidence) -> SmsConsentEvent {
    SmsConsentEvent::ConsentRevoked {
        resident_id: RESIDENT,
        number: sealed(phone()),
        number_key: key_of(&phone()),
        source: cause.source(),
        cause,
        scope: ConsentScope::All,
        evidence,
    }
}

fn void(cause: InvalidationCause, evidence: Evidence) -> SmsConsentEvent {
    let (number, number_key) = (sealed(phone()), key_of(&phone()));
    SmsConsentEvent::ConsentInvalidated { resident_id: RESIDENT, number, number_key, cause, evidence }
}

fn manager() -> (Actor, Channel) {
    (Actor::of(Role::OrganizationManager), Channel { actor_name: "token:7".into(), ..Channel::default() })
}

#[test]
fn the_resident_ends_it_in_the_portal() {
    let revoke = || RevokeSmsConsent { resident_id: RESIDENT, scope: ConsentScope::All };
    let story = |events: Vec<_>| given(events).facts(signed_in()).by(ana()).through(portal());
    story(granted()).accepts(revoke(), [revoked(RevocationCause::Portal {}, evidence())]);
    story(pending()).accepts(revoke(), [revoked(RevocationCause::Portal {}, evidence())]);
    story(vec![]).ignores(revoke());
    // And may agree again later.
    let ended = with(granted(), [revoked(RevocationCause::Portal {}, evidence())]);
    story(ended.clone()).when(record()).then([asked(&phone()), issued(&phone(), 2)]);
    let back = with(ended, [asked(&phone()), issued(&phone(), 2), confirmed(&phone(), 2)]);
    assert!(state::<SmsConsent>(back).standing().is_some());
}

#[test]
fn a_manager_records_a_spoken_wish() {
    let (actor, channel) = manager();
    let heard = || RecordVerbalOptOut { resident_id: RESIDENT, note: from("by phone"), scope: ConsentScope::All };
    let cause = RevocationCause::Verbal { note: from("by phone") };
    let story = |events: Vec<_>| given(events).facts(signed_in()).by(actor.clone()).through(channel.clone());
    story(granted()).accepts(heard(), [revoked(cause, by("token:7", Role::OrganizationManager))]);
    story(vec![]).ignores(heard());
    given(granted()).refuses(heard(), SmsConsentRefusal::NotFound);
}

/// Case 36.
#[test]
fn a_block_at_the_provider_ends_it() {
    let block = || RecordProviderBlock { resident_id: RESIDENT, number_key: key_of(&phone()), code: 21610 };
    let (actor, channel) =
        (Actor::of(Role::Process), Channel { actor_name: "process:texts".into(), ..Channel::default() });
    let story = |events: Vec<_>| given(events).facts(signed_in()).by(actor.clone()).through(channel.clone());
    let ended = revoked(RevocationCause::Provider { code: 21610 }, by("process:texts", Role::Process));
    story(granted()).accepts(block(), [ended.clone()]);
    assert!(matches!(ended, SmsConsentEvent::ConsentRevoked { source: ConsentSource::Provider, .. }));
    // A word that ended it can still bring it back: the block is the provider's copy of that word.
    let by_word = revoked(RevocationCause::Keyword { inbound_id: INBOUND }, evidence());
    story(with(granted(), [by_word])).ignores(block());
    let other = RecordProviderBlock { number_key: key_of(&other_phone()), ..block() };
    story(granted()).ignores(other);
}

#[test]
fn a_number_that_nothing_reaches_or_that_is_another_persons_is_void() {
    let (actor, channel) = manager();
    let story = |events: Vec<_>| given(events).facts(signed_in()).by(actor.clone()).through(channel.clone());
    let known = || by("token:7", Role::OrganizationManager);
    let dead = || RecordUndeliverable { resident_id: RESIDENT, number_key: key_of(&phone()), code: 30005 };
    story(granted()).accepts(dead(), [void(InvalidationCause::Undeliverable { code: 30005 }, known())]);
    let gone = || ReportNumberReassigned { resident_id: RESIDENT, note: from("a stranger answers") };
    let cause = InvalidationCause::Reassigned { note: from("a stranger answers") };
    story(granted()).accepts(gone(), [void(cause.clone(), known())]);
    let after = with(granted(), [void(cause, known())]);
    given(after).facts(signed_in()).refuses(authorize(news()), SmsConsentRefusal::ConsentInvalidated);
}

/// Case 37.
#[test]
fn what_the_record_says_has_ended_ends_here_too_and_stops_texts_before_that() {
    let review = || ReviewSmsConsent { resident_id: RESIDENT };
    let (actor, channel) =
        (Actor::of(Role::Process), Channel { actor_name: "process:texts".into(), ..Channel::default() });
    let left = ResidentEvent::ResidentMovedOut { property_id: PROPERTY, unit_id: UNIT, on: day("2026-02-01") };
    let inactive = ResidentEvent::ResidentStatusChanged { status: ResidentStatus::Inactive };
    let erased = ResidentEvent::ResidentErased { purposes: vec![], retained: vec![] };
    let nobody = ResidentEvent::ResidentPhoneChanged { phone: None };
    for (record, cause, refusal) in [
        (with(resident(), [left]), InvalidationCause::MovedOut {}, SmsConsentRefusal::MovedOut),
        (with(resident(), [inactive]), InvalidationCause::Deactivated {}, SmsConsentRefusal::ResidentInactive),
        (with(resident(), [erased]), InvalidationCause::Erased {}, SmsConsentRefusal::ResidentErased),
        (renumbered(&["+13055550144"]), InvalidationCause::NumberChanged {}, SmsConsentRefusal::NumberChanged),
        (renumbered(&["ask at the desk"]), InvalidationCause::NumberChanged {}, SmsConsentRefusal::NumberChanged),
        (with(resident(), [nobody]), InvalidationCause::NumberChanged {}, SmsConsentRefusal::NumberChanged),
    ] {
        let facts = || with_resident(record.clone());
        let known = by("process:texts", Role::Process);
        let story = |events: Vec<_>| given(events).facts(facts()).by(actor.clone()).through(channel.clone());
        story(granted()).accepts(review(), [void(cause.clone(), known.clone())]);
        story(pending()).accepts(review(), [void(cause.clone(), known)]);
        // Also while the review is still on its way.
        given(granted()).facts(facts()).refuses(authorize(news()), refusal);
    }
    // The record's number may become the very one that was agreed to, or stay as it was.
    for record in [renumbered(&["+1 305-555-0143"]), renumbered(&["+13055550144", "+13055550143"]), resident()] {
        given(granted()).facts(with_resident(record)).ignores(review());
    }
}

#[test]
fn what_a_word_ended_does_not_outlast_the_number() {
    let by_word = revoked(RevocationCause::Keyword { inbound_id: INBOUND }, evidence());
    let facts = with_resident(renumbered(&["+13055550144"]));
    let channel = Channel { actor_name: "process:texts".into(), ..Channel::default() };
    let story = given(with(granted(), [by_word])).facts(facts).by(Actor::of(Role::Process)).through(channel);
    story.accepts(
        ReviewSmsConsent { resident_id: RESIDENT },
        [void(InvalidationCause::NumberChanged {}, by("process:texts", Role::Process))],
    );
}
