//! The leave to send one text.

use chrono::TimeDelta;
use events::{sms_consent::RevocationCause, text_message::TextContent};

use super::super::*;
use crate::testing::{
    fixtures::{RESIDENT, with},
    given, noon, state,
    texting::*,
};

#[test]
fn a_text_gets_leave_for_thirty_seconds_under_the_event_of_the_grant() {
    let story = |events: Vec<_>| given(events).facts(signed_in());
    story(granted()).accepts(authorize(news()), [authorized(&news(), Some(4), None)]);
    let asked = with(granted(), [authorized(&news(), Some(4), None)]);
    let at = |seconds| story(asked.clone()).at(noon() + TimeDelta::seconds(seconds));
    at(29).ignores(authorize(news()));
    let SmsConsentEvent::TextAuthorized { text_id, class, number_key, consent, inbound_id, .. } =
        authorized(&news(), Some(4), None)
    else {
        panic!("it is one")
    };
    let expires_at = noon() + TimeDelta::seconds(60);
    at(30).when(authorize(news())).then([SmsConsentEvent::TextAuthorized {
        text_id,
        class,
        number_key,
        consent,
        inbound_id,
        expires_at,
    }]);
    let state: SmsConsent = state(asked);
    assert_eq!(state.authority(TEXT).and_then(|given| given.number.value().cloned()), Some(phone()));
    assert_eq!(SmsConsent::reference(RESIDENT, 4), format!("sms-consent/{}/4", SmsConsent::id(RESIDENT)));
}

#[test]
fn a_code_goes_out_while_it_is_the_one_that_was_asked_for() {
    let code = |challenge| TextContent::ConsentCode { challenge };
    let story = |events: Vec<_>| given(events).facts(signed_in());
    story(pending()).accepts(authorize(code(1)), [authorized(&code(1), None, None)]);
    story(pending()).refuses(authorize(code(2)), SmsConsentRefusal::CodeOutdated);
    story(granted()).refuses(authorize(code(1)), SmsConsentRefusal::CodeOutdated);
    story(pending()).at(noon() + CODE_HOLDS).refuses(authorize(code(1)), SmsConsentRefusal::CodeOutdated);
    story(with(pending(), [issued(&phone(), 2)])).refuses(authorize(code(1)), SmsConsentRefusal::CodeOutdated);
}

#[test]
fn without_consent_there_is_no_leave_and_each_refusal_says_why_not() {
    let story = |events: Vec<_>| given(events).facts(signed_in());
    story(vec![]).refuses(authorize(news()), SmsConsentRefusal::NoConsent);
    let ended = SmsConsentEvent::ConsentRevoked {
        resident_id: RESIDENT,
        number: sealed(phone()),
        number_key: key_of(&phone()),
        cause: RevocationCause::Portal {},
        scope: ConsentScope::All,
        source: ConsentSource::Portal,
        evidence: evidence(),
    };
    let after = with(granted(), [ended]);
    story(after.clone()).refuses(authorize(news()), SmsConsentRefusal::ConsentRevoked);
    assert_eq!(state::<SmsConsent>(after).decisive(), Some(5));
    assert_eq!(state::<SmsConsent>(granted()).decisive(), Some(4));
    given(granted()).refuses(authorize(news()), SmsConsentRefusal::NotFound);
    for refusal in [
        SmsConsentRefusal::NoConsent,
        SmsConsentRefusal::NotConfirmed,
        SmsConsentRefusal::ConsentRevoked,
        SmsConsentRefusal::ConsentInvalidated,
        SmsConsentRefusal::NumberChanged,
        SmsConsentRefusal::ResidentInactive,
        SmsConsentRefusal::ResidentErased,
        SmsConsentRefusal::MovedOut,
        SmsConsentRefusal::CodeOutdated,
        SmsConsentRefusal::ReplyTooLate,
        SmsConsentRefusal::ReplyGiven,
    ] {
        assert!(SmsConsentRefusal::suppression(crate::Refuse::code(&refusal)).is_some(), "{refusal:?}");
    }
    assert_eq!(SmsConsentRefusal::suppression("Paused"), None, "it waits");
}
