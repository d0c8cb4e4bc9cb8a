//! Texts from the resident's number.

use chrono::TimeDelta;
use events::{
    sms_consent::{Reading, RevocationCause},
    text_message::TextContent,
};

use super::super::{inbound::ProviderReading, *};
use crate::testing::{
    fixtures::{RESIDENT, with, zone},
    from, given, noon, state,
    texting::*,
};

/// What came by text has no browser.
fn by_text() -> Evidence {
    Evidence {
        actor: "token:test".into(),
        role: Role::OrganizationManager,
        session: None,
        address: None,
        user_agent: None,
        zone: zone("America/Toronto"),
        ..evidence()
    }
}

fn received(body: &str, reading: Reading, reply: Option<KeywordReply>) -> SmsConsentEvent {
    let purpose = if reading == Reading::Other { Purpose::Message } else { Purpose::Consent };
    SmsConsentEvent::InboundReceived {
        resident_id: RESIDENT,
        inbound_id: INBOUND,
        number: sealed(phone()),
        number_key: key_of(&phone()),
        body: Sealed::new(RESIDENT.0, purpose, body.into()),
        reading,
        provider_id: "SM1".into(),
        answered_by_provider: false,
        reply,
        received_at: noon(),
    }
}

fn stopped() -> SmsConsentEvent {
    SmsConsentEvent::ConsentRevoked {
        resident_id: RESIDENT,
        number: sealed(phone()),
        number_key: key_of(&phone()),
        cause: RevocationCause::Keyword { inbound_id: INBOUND },
        scope: ConsentScope::All,
        source: ConsentSource::SmsKeyword,
        evidence: by_text(),
    }
}

/// Granted, and ended by a word.
fn ended_by_word() -> Vec<SmsConsentEvent> {
    with(granted(), [received("stop", Reading::Stop, Some(KeywordReply::Stopped)), stopped()])
}

fn later(body: &str) -> RecordInboundText {
    RecordInboundText {
        inbound_id: InboundId(Uuid::from_u128(0xe1)),
        received_at: noon() + TimeDelta::seconds(1),
        ..inbound(body)
    }
}

/// Case 33.
#[test]
fn a_stop_ends_texts_at_once_and_is_confirmed_once() {
    for word in [" stop. ", "Stop", "ARRÊT", "alto", "opt out"] {
        let told = received(word, Reading::Stop, Some(KeywordReply::Stopped));
        given(granted()).accepts(inbound(word), [told, stopped()]);
    }
    let after: SmsConsent = state(ended_by_word());
    assert!(after.standing().is_none());
    given(ended_by_word()).facts(signed_in()).refuses(authorize(news()), SmsConsentRefusal::ConsentRevoked);
    let again: SmsConsent = state(ended_by_word());
    let told =
        crate::Command::decide(later("stop"), &again, &crate::testing::context(Facts::default())).expect("taken in");
    let [SmsConsentEvent::InboundReceived { reply: None, .. }] = told.as_slice() else { panic!("{told:?}") };
}

#[test]
fn a_stop_before_the_code_was_entered_ends_the_asking_too() {
    let told = received("stop", Reading::Stop, Some(KeywordReply::Stopped));
    given(pending()).accepts(inbound("stop"), [told.clone(), stopped()]);
    let after = with(pending(), [told, stopped()]);
    let asked = given(after).facts(signed_in()).by(ana()).through(portal());
    asked.refuses(confirm(RESIDENT, 1), SmsConsentRefusal::NothingPending);
}

#[test]
fn a_stop_from_a_number_that_was_never_agreed_to_is_kept_all_the_same() {
    let told = given([]).when(inbound("STOP"));
    let evidence = Evidence { zone: TimeZone::UTC, locale: Language::En, ..by_text() };
    let SmsConsentEvent::ConsentRevoked { resident_id, number, number_key, cause, scope, source, .. } = stopped()
    else {
        panic!("it is one")
    };
    told.then([
        received("stop", Reading::Stop, Some(KeywordReply::Stopped)),
        SmsConsentEvent::ConsentRevoked { resident_id, number, number_key, cause, scope, source, evidence },
    ]);
}

/// Case 34.
#[test]
fn a_yes_grants_nothing() {
    for word in ["YES", "yes", "ok", "si", "oui", "1"] {
        given(ended_by_word()).when(later(word)).then([SmsConsentEvent::InboundReceived {
            resident_id: RESIDENT,
            inbound_id: InboundId(Uuid::from_u128(0xe1)),
            number: sealed(phone()),
            number_key: key_of(&phone()),
            body: Sealed::new(RESIDENT.0, Purpose::Message, word.into()),
            reading: Reading::Other,
            provider_id: "SM1".into(),
            answered_by_provider: false,
            reply: None,
            received_at: noon() + TimeDelta::seconds(1),
        }]);
    }
    // Not even where the provider takes it for a start.
    let taken = RecordInboundText { answered_by_provider: Some(ProviderReading::Start), ..later("YES") };
    let after = crate::Command::decide(taken, &state(ended_by_word()), &crate::testing::context(Facts::default()));
    assert_eq!(after.map(|events| events.len()), Ok(1));
}

/// Case 35.
#[test]
fn help_is_answered_and_changes_nothing() {
    let told = received("AYUDA", Reading::Help, Some(KeywordReply::Help));
    given(granted()).accepts(inbound("AYUDA"), [told.clone()]);
    let after: SmsConsent = state(with(granted(), [told]));
    assert_eq!(after.standing().map(|(_, _, version)| version), Some(4));
}

#[test]
fn a_start_brings_back_only_what_a_word_had_ended() {
    let start = || later("START");
    let context = crate::testing::context(Facts::default());
    let follows = |events: Vec<SmsConsentEvent>| {
        let before: SmsConsent = state(events.clone());
        let told = crate::Command::decide(start(), &before, &context).expect("taken in");
        let replied = match &told[0] {
            SmsConsentEvent::InboundReceived { reply, .. } => *reply,
            other => panic!("{other:?}"),
        };
        let after: SmsConsent = state(with(events, told));
        (replied, after.standing().map(|(_, _, version)| version))
    };
    // 4 granted, 5 and 6 the stop, 7 and 8 the start.
    assert_eq!(follows(ended_by_word()), (Some(KeywordReply::Restarted), Some(8)));
    let nothing = (Some(KeywordReply::NothingToRestart), None);
    assert_eq!(follows(vec![]), nothing, "never granted");
    assert_eq!(follows(pending()), nothing, "never confirmed");
    let wish = |cause: RevocationCause| SmsConsentEvent::ConsentRevoked {
        resident_id: RESIDENT,
        number: sealed(phone()),
        number_key: key_of(&phone()),
        source: cause.source(),
        cause,
        scope: ConsentScope::All,
        evidence: by_text(),
    };
    let causes = [
        RevocationCause::Portal {},
        RevocationCause::Verbal { note: from("at the desk") },
        RevocationCause::FreeText { inbound_id: INBOUND },
        RevocationCause::Provider { code: 21610 },
    ];
    for cause in causes {
        assert_eq!(follows(with(granted(), [wish(cause.clone())])), nothing, "{cause:?}");
        assert_eq!(follows(with(ended_by_word(), [wish(cause.clone())])), nothing, "{cause:?} after the word");
    }
    let void = SmsConsentEvent::ConsentInvalidated {
        resident_id: RESIDENT,
        number: sealed(phone()),
        number_key: key_of(&phone()),
        cause: InvalidationCause::MovedOut {},
        evidence: by_text(),
    };
    assert_eq!(follows(with(ended_by_word(), [void])), nothing, "void meanwhile");
    let moved = with(ended_by_word(), [confirmed(&other_phone(), 2)]);
    let (reply, standing) = follows(moved);
    assert_eq!((reply, standing), (Some(KeywordReply::NothingToRestart), Some(7)), "another number since");
}

#[test]
fn a_start_that_came_before_the_stop_brings_nothing_back_however_late_it_is_understood() {
    let context = crate::testing::context(Facts::default());
    let start = |seconds| RecordInboundText { received_at: noon() + TimeDelta::seconds(seconds), ..later("START") };
    let ended = |body: &str| {
        let mut events = ended_by_word();
        let between = RecordInboundText {
            inbound_id: InboundId(Uuid::from_u128(0xe2)),
            received_at: noon() + TimeDelta::seconds(10),
            ..inbound(body)
        };
        events.extend(crate::Command::decide(between, &state(events.clone()), &context).expect("taken in"));
        events
    };
    for body in ["stop", "leave me alone"] {
        for (seconds, comes_back) in [(9, false), (10, false), (11, true)] {
            let events = ended(body);
            let told = crate::Command::decide(start(seconds), &state(events.clone()), &context).expect("taken in");
            let SmsConsentEvent::InboundReceived { reply, .. } = &told[0] else { panic!("{told:?}") };
            let expected = if comes_back { KeywordReply::Restarted } else { KeywordReply::NothingToRestart };
            assert_eq!(*reply, Some(expected), "{body} at 10, START at {seconds}");
            assert_eq!(state::<SmsConsent>(with(events, told)).standing().is_some(), comes_back);
        }
    }
    // What another number said is another matter.
    let other = RecordInboundText { number: other_phone(), ..later("stop") };
    let mut events = ended_by_word();
    events.extend(crate::Command::decide(other, &state(events.clone()), &context).expect("taken in"));
    let again = RecordInboundText { inbound_id: InboundId(Uuid::from_u128(0xe3)), ..later("start") };
    events.extend(crate::Command::decide(again, &state(events.clone()), &context).expect("taken in"));
    assert!(state::<SmsConsent>(events).standing().is_some());
}

#[test]
fn a_spoken_wish_outlasts_the_word_before_it() {
    let wish = RecordVerbalOptOut { resident_id: RESIDENT, note: from("at the desk"), scope: ConsentScope::All };
    let ended = given(ended_by_word()).facts(signed_in());
    ended.when(wish).then([SmsConsentEvent::ConsentRevoked {
        resident_id: RESIDENT,
        number: sealed(phone()),
        number_key: key_of(&phone()),
        cause: RevocationCause::Verbal { note: from("at the desk") },
        scope: ConsentScope::All,
        source: ConsentSource::Manual,
        evidence: by_text(),
    }]);
}

#[test]
fn what_may_mean_stop_pauses_everything_until_a_person_has_read_it() {
    let paused = SmsConsentEvent::SendsPaused { inbound_id: INBOUND };
    let told = received("who is this?", Reading::MayMeanStop, None);
    given(granted()).accepts(inbound("who is this?"), [told.clone(), paused.clone()]);
    let held = with(granted(), [told.clone(), paused]);
    given(held.clone()).facts(signed_in()).refuses(authorize(news()), SmsConsentRefusal::Paused);
    let decide =
        |stop| DecideHeldText { resident_id: RESIDENT, inbound_id: INBOUND, stop, note: from("Asked on the phone") };
    let decided = |stop| SmsConsentEvent::HeldTextDecided {
        inbound_id: INBOUND,
        stop,
        note: from("Asked on the phone"),
        evidence: Evidence { zone: TimeZone::UTC, ..by_text() },
    };
    given(held.clone()).facts(signed_in()).accepts(decide(false), [decided(false)]);
    let ended = SmsConsentEvent::ConsentRevoked {
        resident_id: RESIDENT,
        number: sealed(phone()),
        number_key: key_of(&phone()),
        cause: RevocationCause::FreeText { inbound_id: INBOUND },
        scope: ConsentScope::All,
        source: ConsentSource::Manual,
        evidence: by_text(),
    };
    given(held.clone()).facts(signed_in()).accepts(decide(true), [decided(true), ended]);
    let free = with(held, [decided(false)]);
    given(free).facts(signed_in()).when(authorize(news())).then([authorized(&news(), Some(4), None)]);
    given(granted()).facts(signed_in()).refuses(decide(true), SmsConsentRefusal::NoSuchText);
    // Where nothing could go out there is nothing to hold.
    let gone = with(granted(), [stopped_in_portal()]);
    given(gone).when(inbound("who is this?")).then([told]);
}

fn stopped_in_portal() -> SmsConsentEvent {
    SmsConsentEvent::ConsentRevoked {
        resident_id: RESIDENT,
        number: sealed(phone()),
        number_key: key_of(&phone()),
        cause: RevocationCause::Portal {},
        scope: ConsentScope::All,
        source: ConsentSource::Portal,
        evidence: evidence(),
    }
}

#[test]
fn of_a_number_that_was_only_typed_nothing_is_kept_but_words() {
    let reassigned = SmsConsentEvent::ConsentInvalidated {
        resident_id: RESIDENT,
        number: sealed(phone()),
        number_key: key_of(&phone()),
        cause: InvalidationCause::Reassigned { note: from("somebody else answers") },
        evidence: evidence(),
    };
    // Nor of one that is known to be somebody else's now.
    for before in [vec![], pending(), with(granted(), [reassigned])] {
        let taken = |body: &str| {
            let events =
                crate::Command::decide(inbound(body), &state(before.clone()), &crate::testing::context(signed_in()));
            events.expect("taken in")
        };
        assert_eq!(taken("The code for my own door is 4711"), []);
        for (body, kept) in [
            ("Who is this? I am at Dr. Example's", ""),
            ("please stop sending messages", "stop"),
            ("HELP!!", "help"),
            ("un stop", "unstop"),
        ] {
            let events = taken(body);
            let SmsConsentEvent::InboundReceived { body: stored, .. } = &events[0] else { panic!("{events:?}") };
            assert_eq!(stored.value().map(String::as_str), Some(kept), "{body}");
            assert!(!events.iter().any(|event| matches!(event, SmsConsentEvent::SendsPaused { .. })), "{body}");
        }
        // What the provider took for a stop ends texts, whatever it says.
        let told = RecordInboundText { answered_by_provider: Some(ProviderReading::Stop), ..inbound("Genug jetzt") };
        let events = crate::Command::decide(told, &state(before.clone()), &crate::testing::context(signed_in()));
        let events = events.expect("taken in");
        let SmsConsentEvent::InboundReceived { body: stored, .. } = &events[0] else { panic!("{events:?}") };
        assert_eq!((stored.value().map(String::as_str), events.len()), (Some(""), 2));
    }
    let known: SmsConsent = state(granted());
    assert!(known.knows(key_of(&phone())) && !state::<SmsConsent>(pending()).knows(key_of(&phone())));
}

#[test]
fn of_several_streams_of_a_number_the_one_in_which_the_text_changes_something_answers() {
    let key = key_of(&phone());
    let streams = |all: [Vec<SmsConsentEvent>; 4]| all.map(state::<SmsConsent>);
    let first = |all: &[SmsConsent], text: &RecordInboundText| {
        all.iter().enumerate().min_by_key(|(_, consent)| consent.concern(key, text)).map(|(at, _)| at)
    };
    let all = streams([pending(), with(granted(), [stopped_in_portal()]), ended_by_word(), granted()]);
    assert_eq!(first(&all, &inbound("stop")), Some(3), "granted before waiting for its code");
    assert_eq!(first(&all, &later("START")), Some(2), "what a word had ended");
    assert_eq!(first(&all, &inbound("help")), Some(3));
    assert_eq!(first(&all[..3], &inbound("stop")), Some(0), "it ends the asking, and nothing in the others");
    assert_eq!(first(&all[..2], &inbound("help")), Some(1), "whose owner confirmed it");
    assert_eq!(all[2].answers(INBOUND), Some(true));
    assert_eq!(all[0].answers(INBOUND), None);
}

#[test]
fn an_answer_goes_out_once_and_within_five_minutes() {
    let content = TextContent::KeywordReply { inbound_id: INBOUND, reply: KeywordReply::Stopped };
    let leave = || given(ended_by_word()).facts(signed_in());
    leave().accepts(authorize(content.clone()), [authorized(&content, None, Some(INBOUND))]);
    let at = |seconds| leave().at(noon() + TimeDelta::seconds(seconds));
    at(301).refuses(authorize(content.clone()), SmsConsentRefusal::ReplyTooLate);
    let answered = with(ended_by_word(), [authorized(&content, None, Some(INBOUND))]);
    let other = AuthorizeText { text_id: TextId(Uuid::from_u128(0xf1)), ..authorize(content.clone()) };
    given(answered).facts(signed_in()).refuses(other, SmsConsentRefusal::ReplyGiven);
    // One that the provider gave, or that another resident of the number gets.
    for silent in [
        RecordInboundText { answered_by_provider: Some(ProviderReading::Stop), ..inbound("stop") },
        RecordInboundText { answers: false, ..inbound("stop") },
    ] {
        let before: SmsConsent = state(granted());
        let told =
            crate::Command::decide(silent, &before, &crate::testing::context(Facts::default())).expect("taken in");
        let events = with(granted(), told);
        assert!(state::<SmsConsent>(events.clone()).standing().is_none(), "ended all the same");
        given(events).facts(signed_in()).refuses(authorize(content.clone()), SmsConsentRefusal::ReplyGiven);
    }
}

#[test]
fn the_same_text_twice_is_one() {
    given(ended_by_word()).ignores(inbound("stop"));
    given(ended_by_word()).ignores(inbound("start"));
}
