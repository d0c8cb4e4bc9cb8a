//! What a message goes through, however late and often the provider tells.

use proptest::prelude::*;

use super::*;
use crate::testing::{
    fixtures::{INVOICE, PROPERTY, RESIDENT, day, usd, with},
    from, given, state,
};

const MESSAGE: MessageId = MessageId(Uuid::from_u128(0x80));
const AGAIN: MessageId = MessageId(Uuid::from_u128(0x81));

fn content() -> EmailContent {
    EmailContent::InvoicePublished {
        invoice_id: INVOICE,
        title: from("March"),
        total: usd(10_000),
        due_on: day("2026-03-31"),
    }
}

fn request() -> RequestEmail {
    RequestEmail {
        message_id: MESSAGE,
        resident_id: RESIDENT,
        property_id: Some(PROPERTY),
        content: content(),
        language: Language::Es,
        fallback: false,
        template: 1,
        cause: "invoice/40/2".into(),
        resend_of: None,
    }
}

fn requested() -> EmailMessageEvent {
    EmailMessageEvent::EmailRequested {
        resident_id: RESIDENT,
        property_id: Some(PROPERTY),
        content: content(),
        language: Language::Es,
        fallback: false,
        template: 1,
        cause: "invoice/40/2".into(),
        resend_of: None,
    }
}

fn suppress() -> SuppressEmail {
    SuppressEmail { message_id: MESSAGE, reason: EmailSuppression::NoAddress }
}

fn suppressed(reason: EmailSuppression) -> EmailMessageEvent {
    EmailMessageEvent::EmailSuppressed { reason }
}

fn submit() -> SubmitEmail {
    SubmitEmail {
        message_id: MESSAGE,
        provider: "resend".into(),
        address: from("ana@example.com"),
        message: json!({ "subject": "March" }),
    }
}

fn address() -> Sealed<EmailAddress> {
    Sealed::new(RESIDENT.0, Purpose::Message, from("ana@example.com"))
}

fn handing_over() -> EmailMessageEvent {
    EmailMessageEvent::EmailSubmitting {
        provider: "resend".into(),
        idempotency_key: format!("email:{}:{MESSAGE}", crate::testing::context(crate::Facts::default()).organization),
        address: address(),
        message: Sealed::new(RESIDENT.0, Purpose::Message, json!({ "subject": "March" })),
    }
}

fn submitting() -> Vec<EmailMessageEvent> {
    vec![requested(), handing_over()]
}

fn record(report: EmailReport) -> RecordEmail {
    RecordEmail { message_id: MESSAGE, report }
}

fn accepted() -> EmailReport {
    EmailReport::Accepted { provider_id: Some("re_1".into()) }
}

fn bounce() -> EmailReport {
    EmailReport::Bounced { kind: BounceKind::Permanent, reason: "no such mailbox".into() }
}

fn failure() -> EmailReport {
    EmailReport::Failed { reason: "refused".into() }
}

fn unknown() -> EmailReport {
    EmailReport::Unknown { why: "timed out".into() }
}

fn taken() -> EmailMessageEvent {
    EmailMessageEvent::EmailAccepted { provider_id: Some("re_1".into()) }
}

fn bounced() -> EmailMessageEvent {
    EmailMessageEvent::EmailBounced {
        kind: BounceKind::Permanent,
        reason: "no such mailbox".into(),
        address: address(),
    }
}

fn complained() -> EmailMessageEvent {
    EmailMessageEvent::EmailComplained { address: address() }
}

fn failed() -> EmailMessageEvent {
    EmailMessageEvent::EmailFailed { reason: "refused".into() }
}

fn resend() -> ResendEmail {
    ResendEmail { message_id: MESSAGE, as_message: AGAIN }
}

#[test]
fn a_message_is_requested_once() {
    given([]).accepts(request(), [requested()]);
    let scope = state::<EmailMessage>([requested()]).scope();
    assert_eq!(scope, Scope::property(PROPERTY).and_resident(RESIDENT));
    assert_eq!(EmailMessage::default().scope(), Scope::default());
}

#[test]
fn a_message_is_suppressed_before_it_is_handed_over_or_not_at_all() {
    given([requested()]).accepts(suppress(), [suppressed(EmailSuppression::NoAddress)]);
    given([]).refuses(suppress(), EmailRefusal::NotFound);
    given(submitting()).ignores(suppress());
    given([requested(), suppressed(EmailSuppression::NoAddress)]).ignores(submit());
}

#[test]
fn a_message_is_frozen_before_it_is_handed_over_once() {
    given([requested()]).accepts(submit(), [handing_over()]);
    let other_body = SubmitEmail { message: json!({ "subject": "April" }), ..submit() };
    given(submitting()).ignores(other_body);
    given([]).refuses(submit(), EmailRefusal::NotFound);
}

#[test]
fn reports_are_drawn_into_the_timeline() {
    for (report, event) in [
        (accepted(), taken()),
        (EmailReport::Delayed, EmailMessageEvent::EmailDelayed {}),
        (EmailReport::Delivered, EmailMessageEvent::EmailDelivered {}),
        (bounce(), bounced()),
        (EmailReport::Complained, complained()),
        (EmailReport::Opened, EmailMessageEvent::EmailOpened {}),
        (EmailReport::Clicked, EmailMessageEvent::EmailClicked {}),
        (failure(), failed()),
        (EmailReport::SuppressedByProvider, suppressed(EmailSuppression::SuppressedByProvider)),
        (unknown(), EmailMessageEvent::EmailOutcomeUnknown { why: "timed out".into() }),
    ] {
        given(submitting()).accepts(record(report), [event]);
    }
    given([]).refuses(record(accepted()), EmailRefusal::NotFound);
    given([requested()]).refuses(record(accepted()), EmailRefusal::NotFound);
}

#[test]
fn delivered_before_accepted_stays_delivered() {
    let delivered = with(submitting(), [EmailMessageEvent::EmailDelivered {}]);
    for late in [accepted(), EmailReport::Delayed, failure(), EmailReport::SuppressedByProvider, unknown()] {
        given(delivered.clone()).ignores(record(late));
    }
}

#[test]
fn a_late_delivery_does_not_erase_a_complaint_or_a_bounce() {
    given(with(submitting(), [complained()])).ignores(record(EmailReport::Delivered));
    given(with(submitting(), [complained()])).ignores(record(bounce()));
    given(with(submitting(), [bounced()])).ignores(record(EmailReport::Delivered));
    given(with(submitting(), [bounced()])).accepts(record(EmailReport::Complained), [complained()]);
}

#[test]
fn a_provider_can_give_up_what_it_had_accepted() {
    let sent = with(submitting(), [taken()]);
    given(sent.clone()).accepts(record(failure()), [failed()]);
    let by_provider = suppressed(EmailSuppression::SuppressedByProvider);
    given(sent.clone()).accepts(record(EmailReport::SuppressedByProvider), [by_provider]);
    given(with(sent.clone(), [failed()]))
        .accepts(resend(), [EmailMessageEvent::EmailResendRequested { as_message: AGAIN }]);
    given(with(sent, [failed()])).accepts(record(EmailReport::Delivered), [EmailMessageEvent::EmailDelivered {}]);
}

#[test]
fn an_unknown_outcome_becomes_known() {
    let lost = with(submitting(), [EmailMessageEvent::EmailOutcomeUnknown { why: "timed out".into() }]);
    given(lost.clone()).accepts(record(accepted()), [taken()]);
    given(lost).ignores(submit());
}

#[test]
fn what_did_not_arrive_is_sent_again_as_another_message() {
    let again = EmailMessageEvent::EmailResendRequested { as_message: AGAIN };
    for lost in [
        vec![requested(), suppressed(EmailSuppression::NoAddress)],
        with(submitting(), [bounced()]),
        with(submitting(), [complained()]),
        with(submitting(), [failed()]),
        with(submitting(), [suppressed(EmailSuppression::SuppressedByProvider)]),
        with(submitting(), [EmailMessageEvent::EmailOutcomeUnknown { why: "timed out".into() }]),
    ] {
        given(lost).accepts(resend(), [again.clone()]);
    }
    for waiting in [vec![requested()], submitting(), with(submitting(), [taken()])] {
        given(waiting).refuses(resend(), EmailRefusal::StillOnItsWay);
    }
    let delivered = with(submitting(), [EmailMessageEvent::EmailDelivered {}]);
    given(delivered).refuses(resend(), EmailRefusal::AlreadyDelivered);
    given([]).refuses(resend(), EmailRefusal::NotFound);
    given([]).refuses(ResendEmail { as_message: MESSAGE, ..resend() }, EmailRefusal::SameId);
}

#[test]
fn what_was_handed_over_by_smtp_may_be_sent_again() {
    let by_smtp = match handing_over() {
        EmailMessageEvent::EmailSubmitting { idempotency_key, address, message, .. } => {
            EmailMessageEvent::EmailSubmitting { provider: "smtp".into(), idempotency_key, address, message }
        }
        other => other,
    };
    let sent = vec![requested(), by_smtp, EmailMessageEvent::EmailAccepted { provider_id: None }];
    given(sent.clone()).accepts(resend(), [EmailMessageEvent::EmailResendRequested { as_message: AGAIN }]);
    given(with(sent, [EmailMessageEvent::EmailDelivered {}])).refuses(resend(), EmailRefusal::AlreadyDelivered);
}

fn reports() -> impl Strategy<Value = EmailReport> {
    let all = vec![
        accepted(),
        EmailReport::Delayed,
        EmailReport::Delivered,
        bounce(),
        EmailReport::Complained,
        EmailReport::Opened,
        EmailReport::Clicked,
        failure(),
        EmailReport::SuppressedByProvider,
        unknown(),
    ];
    proptest::sample::select(all)
}

proptest! {
    #[test]
    fn status_never_goes_back_and_nothing_is_told_twice(reports in proptest::collection::vec(reports(), 1..25)) {
        let context = crate::testing::context(crate::Facts::default());
        let mut message = state::<EmailMessage>(submitting());
        let mut told = Vec::new();
        for report in reports {
            let before = message.phase;
            let events = record(report.clone()).decide(&message, &context).expect("reports are merged");
            for event in events {
                message.evolve(&event);
                prop_assert!(!told.contains(&event), "{:?} twice", event);
                told.push(event);
            }
            prop_assert!(message.phase >= before);
            prop_assert_eq!(record(report).decide(&message, &context), Ok(vec![]));
        }
    }
}
