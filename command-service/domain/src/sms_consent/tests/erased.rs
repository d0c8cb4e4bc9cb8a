//! What is left to happen after the resident was erased: nothing is sent, nothing new is kept, and words still end.

use events::{
    ResidentEvent,
    sms_consent::{Reading, RevocationCause},
    text_message::TextContent,
};

use super::super::*;
use crate::{
    Actor, Command,
    testing::{
        fixtures::{RESIDENT, resident, with},
        from, given, state,
        texting::*,
    },
};

fn erased() -> Facts {
    with_resident(with(resident(), [ResidentEvent::ResidentErased { purposes: vec![], retained: vec![] }]))
}

/// What a text leads to, and what it is sealed for.
fn taken_in(events: Vec<SmsConsentEvent>, body: &str) -> Vec<SmsConsentEvent> {
    inbound(body).decide(&state(events), &crate::testing::context(erased())).expect("texts are taken in")
}

fn received(events: &[SmsConsentEvent]) -> (Reading, Option<Purpose>, Option<KeywordReply>) {
    let Some(SmsConsentEvent::InboundReceived { reading, body, reply, .. }) = events.first() else {
        panic!("{events:?}")
    };
    let purpose = match body {
        Sealed::Clear { purpose, .. } => Some(*purpose),
        Sealed::Erased => None,
    };
    (*reading, purpose, *reply)
}

#[test]
fn no_text_of_any_class_gets_leave_for_an_erased_resident() {
    let story = |events: Vec<_>| given(events).facts(erased());
    story(granted()).refuses(authorize(news()), SmsConsentRefusal::ResidentErased);
    story(granted()).refuses(authorize(TextContent::ConsentConfirmed {}), SmsConsentRefusal::ResidentErased);
    story(pending()).refuses(authorize(TextContent::ConsentCode { challenge: 1 }), SmsConsentRefusal::ResidentErased);
    let asked = SmsConsentEvent::InboundReceived {
        resident_id: RESIDENT,
        inbound_id: INBOUND,
        number: sealed(phone()),
        number_key: key_of(&phone()),
        body: sealed("help".into()),
        reading: Reading::Help,
        provider_id: "SM1".into(),
        answered_by_provider: false,
        reply: Some(KeywordReply::Help),
        received_at: crate::testing::noon(),
    };
    let answer = TextContent::KeywordReply { inbound_id: INBOUND, reply: KeywordReply::Help };
    story(with(granted(), [asked])).refuses(authorize(answer), SmsConsentRefusal::ResidentErased);
}

#[test]
fn what_an_erased_resident_writes_is_not_kept_and_not_answered() {
    for (body, reading) in [
        ("STOP", Reading::Stop),
        ("HELP", Reading::Help),
        ("START", Reading::Start),
        ("who is this?", Reading::MayMeanStop),
        ("thank you", Reading::Other),
    ] {
        let events = taken_in(granted(), body);
        assert_eq!(received(&events), (reading, Some(Purpose::Message), None), "{body}");
        assert!(!events.iter().any(|event| matches!(event, SmsConsentEvent::SendsPaused { .. })), "{body}");
    }
}

#[test]
fn a_stop_after_the_erasure_is_on_record_and_a_start_brings_nothing_back() {
    let ended = taken_in(granted(), "STOP");
    let by_word = |event: &SmsConsentEvent| {
        matches!(event, SmsConsentEvent::ConsentRevoked { cause: RevocationCause::Keyword { .. }, .. })
    };
    assert!(ended.iter().any(by_word), "{ended:?}");
    let again = RecordInboundText { inbound_id: InboundId(Uuid::from_u128(0x99)), ..inbound("START") };
    let state = state(with(granted(), ended));
    let events = again.decide(&state, &crate::testing::context(erased())).expect("texts are taken in");
    assert!(!events.iter().any(|event| matches!(event, SmsConsentEvent::ConsentRestored { .. })), "{events:?}");
}

#[test]
fn an_opt_in_that_somebody_tries_for_an_erased_resident_keeps_no_number() {
    let by = crate::Context { actor: Actor::of(Role::OrganizationManager), ..crate::testing::context(erased()) };
    let events = record().turned_away(&SmsConsent::default(), &by);
    assert!(
        matches!(&events[..], [SmsConsentEvent::OptInRefused { number: Sealed::Erased, .. }]),
        "the attempt is on record, the number is not: {events:?}"
    );
}

#[test]
fn a_code_that_somebody_types_for_an_erased_resident_is_on_record_without_the_number() {
    let by = crate::Context { actor: Actor::of(Role::OrganizationManager), ..crate::testing::context(erased()) };
    let events = confirm(RESIDENT, 1).turned_away(&state(pending()), &by);
    assert!(matches!(&events[..], [SmsConsentEvent::OptInRefused { number: Sealed::Erased, .. }]), "{events:?}");
}

#[test]
fn leave_that_was_given_before_the_erasure_is_none_after_it() {
    let stands: SmsConsent = state(with(granted(), [authorized(&news(), Some(4), None)]));
    let now = crate::testing::noon();
    let leave = |facts: Facts| {
        facts.resident.and_then(|resident| stands.leave(TEXT, &news(), &resident, now).map(|leave| leave.version))
    };
    assert_eq!((leave(signed_in()), leave(erased())), (Some(5), None));
}

#[test]
fn a_consent_that_an_import_claims_is_refused_once_for_each_number() {
    let claim = |number: &str| RefuseClaimedOptIn { resident_id: RESIDENT, phone: from(number) };
    let story = |events: Vec<SmsConsentEvent>| given(events).facts(signed_in()).by(Actor::of(Role::Operator));
    let first = claim("+13055550143").decide(
        &SmsConsent::default(),
        &crate::Context { actor: Actor::of(Role::Operator), ..crate::testing::context(signed_in()) },
    );
    let first = first.expect("it goes on record");
    assert!(
        matches!(&first[..], [SmsConsentEvent::OptInRefused { why: OptInRefusal::ClaimedByImport, .. }]),
        "{first:?}"
    );
    assert!(state::<SmsConsent>(first.clone()).standing().is_none(), "a claim is no consent");
    assert!(state::<SmsConsent>(first.clone()).last_evidence().is_none(), "and no evidence of one");
    story(first.clone()).ignores(claim("+13055550143"));
    assert_eq!(
        claim("+13055550144").decide(&state(first), &crate::testing::context(signed_in())).map(|events| events.len()),
        Ok(1)
    );
    given([]).facts(erased()).ignores(claim("+13055550143"));
    given([]).refuses(claim("+13055550143"), SmsConsentRefusal::NotFound);
}
