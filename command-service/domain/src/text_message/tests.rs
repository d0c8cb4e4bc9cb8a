//! Texts, told.

use chrono::TimeDelta;
use events::sms_consent::{ConsentScope, ConsentSource, RevocationCause};

use super::*;
use crate::{
    Kind, Refuse, SmsConsent,
    sms_consent::AUTHORITY_HOLDS,
    testing::{
        fixtures::{PROPERTY, RESIDENT, with, zone},
        from, given, noon, state,
        texting::{TEXT, authorized, evidence, granted, key_of, news, pending, phone, sealed, signed_in},
    },
};

fn request() -> RequestText {
    RequestText {
        text_id: TEXT,
        resident_id: RESIDENT,
        property_id: Some(PROPERTY),
        content: news(),
        language: Language::Es,
        fallback: false,
        template: 1,
        cause: "invoice/1/2".into(),
    }
}

fn requested_of(content: TextContent) -> TextMessageEvent {
    TextMessageEvent::TextRequested {
        resident_id: RESIDENT,
        property_id: Some(PROPERTY),
        content,
        language: Language::Es,
        fallback: false,
        template: 1,
        cause: "invoice/1/2".into(),
    }
}

fn requested() -> TextMessageEvent {
    requested_of(news())
}

fn grounds() -> Grounds {
    Grounds {
        consent: None,
        policy: Some("us-1".into()),
        zone: Some(zone("America/New_York")),
        local_time: "2026-03-01T07:00:00-05:00".parse().ok(),
    }
}

fn submit() -> SubmitText {
    SubmitText {
        text_id: TEXT,
        body: "Nueva factura".into(),
        grounds: grounds(),
        encoding: TextEncoding::Gsm7,
        segments: 1,
        reference: "Q7F2".into(),
        provider: "twilio".into(),
    }
}

fn sending(consent: Option<i64>, authority: i64) -> TextMessageEvent {
    TextMessageEvent::TextSending {
        number: sealed(phone()),
        number_key: key_of(&phone()),
        body: Sealed::new(RESIDENT.0, Purpose::Message, "Nueva factura".into()),
        authority: SmsConsent::reference(RESIDENT, authority),
        grounds: Grounds { consent: consent.map(|version| SmsConsent::reference(RESIDENT, version)), ..grounds() },
        encoding: TextEncoding::Gsm7,
        segments: 1,
        reference: "Q7F2".into(),
        provider: "twilio".into(),
    }
}

fn sent() -> Vec<TextMessageEvent> {
    vec![requested(), sending(Some(4), 5)]
}

fn accepted() -> TextMessageEvent {
    TextMessageEvent::TextAccepted { provider_id: "SM1".into() }
}

fn record(report: TextReport) -> RecordText {
    RecordText { text_id: TEXT, report }
}

/// The resident's consent after these events.
fn consenting(consent: Vec<events::SmsConsentEvent>) -> Facts {
    Facts { sms_consent: Some(state(consent)), ..signed_in() }
}

fn with_leave() -> Vec<events::SmsConsentEvent> {
    with(granted(), [authorized(&news(), Some(4), None)])
}

#[test]
fn a_text_is_requested_once_per_cause() {
    given([]).accepts(request(), [requested()]);
    let other = RequestText { cause: "invoice/2/2".into(), ..request() };
    given([requested()]).refuses(other, TextRefusal::IdTaken);
}

#[test]
fn a_text_leaves_under_the_leave_it_was_given() {
    given([requested()]).facts(consenting(with_leave())).accepts(submit(), [sending(Some(4), 5)]);
    let deferred =
        TextMessageEvent::TextDeferred { until: noon(), reason: TextDeferral::QuietHours, grounds: grounds() };
    given([requested(), deferred]).facts(consenting(with_leave())).accepts(submit(), [sending(Some(4), 5)]);
    given([]).facts(consenting(with_leave())).refuses(submit(), TextRefusal::NotFound);
}

/// Case 31.
#[test]
fn without_leave_or_after_an_end_no_text_leaves() {
    let story = |consent| given([requested()]).facts(consenting(consent));
    story(granted()).refuses(submit(), TextRefusal::NoAuthority);
    given([requested()]).refuses(submit(), TextRefusal::NoAuthority);
    story(with_leave()).at(noon() + AUTHORITY_HOLDS).refuses(submit(), TextRefusal::NoAuthority);
    let stop = events::SmsConsentEvent::ConsentRevoked {
        resident_id: RESIDENT,
        number: sealed(phone()),
        number_key: key_of(&phone()),
        cause: RevocationCause::Keyword { inbound_id: crate::testing::texting::INBOUND },
        scope: ConsentScope::All,
        source: ConsentSource::SmsKeyword,
        evidence: evidence(),
    };
    story(with(with_leave(), [stop])).refuses(submit(), TextRefusal::NoAuthority);
    let held = events::SmsConsentEvent::SendsPaused { inbound_id: crate::testing::texting::INBOUND };
    story(with(with_leave(), [held])).refuses(submit(), TextRefusal::NoAuthority);
    // The leave of a code is none for news.
    let code = TextContent::ConsentCode { challenge: 1 };
    story(with(granted(), [authorized(&code, None, None)])).refuses(submit(), TextRefusal::NoAuthority);
}

#[test]
fn a_code_needs_no_consent() {
    let code = TextContent::ConsentCode { challenge: 1 };
    let facts = consenting(with(pending(), [authorized(&code, None, None)]));
    given([requested_of(code)]).facts(facts).accepts(submit(), [sending(None, 4)]);
}

#[test]
fn what_is_not_sent_says_why_and_stays_unsent() {
    let suppress = |reason| SuppressText { text_id: TEXT, reason, grounds: grounds() };
    let suppressed = |reason| TextMessageEvent::TextSuppressed { reason, grounds: grounds() };
    let reason = TextSuppression::ConsentRevoked;
    given([requested()]).accepts(suppress(reason), [suppressed(reason)]);
    given([requested(), suppressed(reason)]).facts(consenting(with_leave())).ignores(submit());
    given(sent()).ignores(suppress(reason));
    given([]).refuses(suppress(reason), TextRefusal::NotFound);
}

#[test]
fn a_text_waits_until_its_hour_and_longer_if_it_must() {
    let until = |hours| noon() + TimeDelta::hours(hours);
    let defer =
        |hours| DeferText { text_id: TEXT, until: until(hours), reason: TextDeferral::QuietHours, grounds: grounds() };
    let deferred = |hours| TextMessageEvent::TextDeferred {
        until: until(hours),
        reason: TextDeferral::QuietHours,
        grounds: grounds(),
    };
    given([requested()]).accepts(defer(11), [deferred(11)]);
    given([requested(), deferred(11)]).accepts(defer(24), [deferred(24)]);
    given([requested(), deferred(11)]).ignores(defer(3));
    given(sent()).ignores(defer(11));
    given([]).refuses(defer(1), TextRefusal::NotFound);
}

/// Cases 41 and 42.
#[test]
fn reports_come_in_any_order_and_never_go_back() {
    let reports = [
        (TextReport::Accepted { provider_id: "SM1".into() }, accepted()),
        (TextReport::Sent, TextMessageEvent::TextSent {}),
        (TextReport::Delivered, TextMessageEvent::TextDelivered {}),
        (TextReport::Undelivered { code: Some(30003) }, TextMessageEvent::TextUndelivered { code: Some(30003) }),
    ];
    for (report, event) in reports.clone() {
        given(sent()).accepts(record(report), [event]);
    }
    let delivered = with(sent(), [TextMessageEvent::TextDelivered {}]);
    given(delivered.clone()).ignores(record(TextReport::Sent));
    given(delivered.clone()).ignores(record(TextReport::Undelivered { code: None }));
    given(delivered.clone()).ignores(record(TextReport::Failed { code: None, reason: "late".into() }));
    given(delivered.clone()).ignores(record(TextReport::Unknown { why: "late".into() }));
    // The provider's answer after its callback still tells the provider's id.
    given(delivered.clone()).accepts(record(TextReport::Accepted { provider_id: "SM1".into() }), [accepted()]);
    assert_eq!(state::<TextMessage>(with(delivered, [accepted()])).phase, Phase::Delivered);
    given([requested()]).refuses(record(TextReport::Delivered), TextRefusal::NotFound);
    // All 24 orders end alike.
    let mut orders = vec![vec![]];
    for _ in 0..4 {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..4).filter(|next| !order.contains(next)).map(|next| with(order.clone(), [next])).collect::<Vec<_>>()
            })
            .collect();
    }
    assert_eq!(orders.len(), 24);
    for order in orders {
        let mut events = sent();
        for index in order {
            let context = crate::testing::context(Facts::default());
            let (report, _) = reports[index].clone();
            events.extend(record(report).decide(&state(events.clone()), &context).expect("reported"));
        }
        let text: TextMessage = state(events);
        assert_eq!((text.phase, text.provider_id.as_deref()), (Phase::Delivered, Some("SM1")));
    }
}

#[test]
fn an_unknown_outcome_is_settled_by_a_report_or_a_person() {
    let why = || "the answer was lost".to_owned();
    let unknown = TextMessageEvent::TextOutcomeUnknown { why: why() };
    given(sent()).accepts(record(TextReport::Unknown { why: why() }), [unknown.clone()]);
    let lost = with(sent(), [unknown]);
    given(lost.clone()).accepts(record(TextReport::Accepted { provider_id: "SM1".into() }), [accepted()]);
    let decide = |sent| DecideTextOutcome { text_id: TEXT, sent, note: from("seen in the log") };
    let decided = |sent| TextMessageEvent::TextOutcomeDecided { sent, note: from("seen in the log") };
    given(lost.clone()).accepts(decide(true), [decided(true)]);
    given(lost.clone()).accepts(decide(false), [decided(false)]);
    given(with(lost, [decided(false)])).refuses(decide(true), TextRefusal::NotUnknown);
    given(sent()).refuses(decide(true), TextRefusal::NotUnknown);
    given([]).refuses(decide(true), TextRefusal::NotFound);
    assert_eq!(TextRefusal::NotUnknown.kind(), Kind::Conflict);
}

#[test]
fn a_text_is_seen_by_its_property_and_its_resident() {
    let text: TextMessage = state([requested()]);
    assert_eq!(crate::Aggregate::scope(&text), Scope::property(PROPERTY).and_resident(RESIDENT));
}
