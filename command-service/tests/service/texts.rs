//! Texts: none without standing consent and a permitted hour, none twice, and none whose fate nobody can see.

use chrono::{TimeDelta, Timelike};
use command_service::{
    Ask, Fault,
    intake::{self, Intake},
};
use domain::{SmsConsent, text_message::Phase};
use event_store::{checkpointer::Checkpointer, disclosure, lease::Lease};
use events::{Language, OrganizationId, ResidentId};
use futures_util::{future::join_all, join};
use serde_json::json;
use uuid::Uuid;

use crate::{
    fakes::{PASSING, Trouble},
    household::zone,
    proofs::{repeats_change_nothing, survives_death_at_every_point},
    texting::NUMBER,
    world::{PROPERTY, RESIDENT, World},
};

/// Sent once and known to be, or unresolved for all to see.
async fn is_sent_or_visible(world: &World, text: Uuid) {
    world.much_later().await;
    world.settle_at_last().await;
    let state = world.row("SendText", text).await.1;
    match world.text_phase(text).await {
        Phase::Accepted => assert_eq!((world.texts.times(text), state.as_str()), (1, "done")),
        Phase::Unknown => assert_eq!((world.texts.times(text), state.as_str()), (0, "unresolved")),
        other => panic!("{other:?}"),
    }
}

async fn is_not_sent(world: &World, text: Uuid, reason: &str) {
    assert_eq!((world.text_phase(text).await, world.texts.times(text)), (Phase::Suppressed, 0));
    let told = world.told(text, "TextSuppressed").await;
    assert_eq!(told["reason"], reason, "{told}");
    assert_eq!(told["grounds"]["policy"], "us-2026-11");
}

#[tokio::test]
async fn who_agreed_is_told_of_an_invoice_and_every_text_names_what_it_stands_on() {
    let world = World::texting().await;
    let before = world.texts.sent().len();
    assert_eq!(before, 2, "the code, and the confirmation");
    assert!(world.texts.sent()[1].body.contains("Reply HELP for help, STOP to opt out"));
    let invoice = world.draft().await;
    world.publish(invoice, true).await;
    world.settle().await;
    let sent = world.texts.sent().into_iter().skip(before).collect::<Vec<_>>();
    assert_eq!(sent.len(), 1);
    let (text, body) = (sent[0].reference, sent[0].body.as_str());
    assert!(sent[0].to == NUMBER && body.contains(&format!("/invoices/{invoice}")), "{body}");
    assert!(body.ends_with(&format!("Ref {}", sent[0].short_reference)));
    // The provider gives up at the end of the permitted hours at the latest.
    assert_eq!(sent[0].valid_for, 4 * 3600);
    let sending = world.told(text, "TextSending").await;
    let grounds = &sending["grounds"];
    assert!(grounds["consent"].as_str().is_some_and(|consent| consent.starts_with("sms-consent/")), "{sending}");
    assert_eq!((&grounds["policy"], &grounds["zone"]), (&json!("us-2026-11"), &json!("America/Toronto")));
    assert!(grounds["local_time"].as_str().is_some_and(|time| time.contains("T10:0")), "{grounds}");
    assert_eq!((&sending["encoding"], &sending["segments"]), (&json!("Gsm7"), &json!(2)));
    assert!(!sending.to_string().contains(NUMBER) && !sending.to_string().contains("Condo"), "sealed: {sending}");
    for status in ["sent", "delivered"] {
        world.callback(text, status, None).await;
    }
    world.settle().await;
    assert_eq!(world.text_phase(text).await, Phase::Delivered);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn stop_between_scheduling_and_sending_wins() {
    let world = World::texting().await;
    let text = world.text_to_be_sent().await;
    world.hears(NUMBER, "Stop.", None).await;
    world.settle().await;
    is_not_sent(&world, text, "ConsentRevoked").await;
    let reply = world.texts.sent().pop().expect("an answer");
    assert!(reply.body.contains("unsubscribed"), "{}", reply.body);
    // From then on nothing, and the answer to a second stop is silence.
    let count = world.texts.sent().len();
    world.hears(NUMBER, "stop", None).await;
    let further = world.text_to_be_sent().await;
    world.settle().await;
    is_not_sent(&world, further, "ConsentRevoked").await;
    assert_eq!(world.texts.sent().len(), count);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn what_the_provider_answered_itself_is_recorded_and_not_answered_again() {
    let world = World::texting().await;
    let count = world.texts.sent().len();
    world.hears(NUMBER, "STOP", Some("STOP")).await;
    world.settle().await;
    assert!(world.consent().await.standing().is_none());
    assert_eq!(world.texts.sent().len(), count);
    // Its own words are recognized without being told.
    world.hears(NUMBER, "HELP", None).await;
    world.settle().await;
    assert_eq!(world.texts.sent().len(), count);
    world.hears(NUMBER, "aide", None).await;
    world.settle().await;
    assert_eq!(world.texts.sent().len(), count + 1);
}

#[tokio::test]
async fn of_two_words_the_one_that_came_last_counts_however_they_are_understood() {
    let world = World::texting().await;
    // Side by side, time and again, from either standing.
    for _ in 0..4 {
        world.hears(NUMBER, "START", None).await;
        world.hears(NUMBER, "STOP", None).await;
        world.settle().await;
        assert!(world.consent().await.standing().is_none(), "STOP came last");
    }
    world.hears(NUMBER, "START", None).await;
    world.settle().await;
    assert!(world.consent().await.standing().is_some());
    // The first one fails, and is understood when the other one long was.
    for later in ["STOP", "leave me alone now"] {
        world.hears(NUMBER, "STOP", None).await;
        world.settle().await;
        world.hears(NUMBER, "START", None).await;
        world.sql("update engine.webhooks set retry_at = now() + interval '1 hour' where state = 'received'").await;
        world.hears(NUMBER, later, None).await;
        world.settle().await;
        let waiting = "select count(*) from engine.webhooks where state = 'received'";
        assert_eq!(world.count(waiting).await, 1);
        world.settle_at_last().await;
        assert_eq!(world.count(waiting).await, 0);
        assert!(world.consent().await.standing().is_none(), "{later}");
    }
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn an_incoming_text_that_comes_again_is_one() {
    let world = World::texting().await;
    let body = "MessageSid=SM77&From=%2B14165550143&To=%2B15555550199&Body=Arr%C3%AAt";
    for expected in [true, false, false] {
        assert_eq!(world.hook("/webhooks/twilio/inbound", body).await, expected);
    }
    world.settle().await;
    let received = "select count(*) from log.events where event_type = 'InboundReceived'";
    let revoked = "select count(*) from log.events where event_type = 'ConsentRevoked'";
    assert_eq!((world.count(received).await, world.count(revoked).await), (1, 1));
}

#[tokio::test]
async fn an_unknown_number_is_kept_with_nobody() {
    let world = World::texting().await;
    let before = world
        .count("select count(*) from log.events where organization_id <> '00000000-0000-0000-0000-000000000000'")
        .await;
    world.hears("+14165550177", "STOP", None).await;
    world.settle().await;
    let kept = "select count(*) from log.events where event_type = 'UnknownSenderReceived'";
    assert_eq!(world.count(kept).await, 1);
    let after = world
        .count("select count(*) from log.events where organization_id <> '00000000-0000-0000-0000-000000000000'")
        .await;
    assert_eq!(before, after);
    assert!(world.consent().await.standing().is_some());
}

#[tokio::test]
async fn a_minute_before_nine_goes_out_and_a_minute_after_waits_for_the_morning() {
    let world = World::texting().await;
    world.until_local(20, 58).await;
    let before = world.text_to_be_sent().await;
    world.settle().await;
    assert_eq!((world.text_phase(before).await, world.texts.times(before)), (Phase::Accepted, 1));
    let valid = world.texts.sent().last().map_or(0, |sent| sent.valid_for);
    assert!((30..=120).contains(&valid), "it expires when the hours end: {valid}");

    // Queued at 20:59, released at 21:01.
    world.until_local(20, 59).await;
    let late = world.text_to_be_sent().await;
    world.in_seconds(120).await;
    world.settle().await;
    assert_eq!((world.text_phase(late).await, world.texts.times(late)), (Phase::Deferred, 0));
    let told = world.told(late, "TextDeferred").await;
    let until: chrono::DateTime<chrono::Utc> =
        told["until"].as_str().and_then(|until| until.parse().ok()).expect("an instant");
    let local = until.with_timezone(&zone().tz());
    assert_eq!((local.hour(), local.minute(), local.second(), &told["reason"]), (8, 0, 0, &json!("QuietHours")));
    world.advance(until - TimeDelta::seconds(30) - world.effects.engine.clock().now()).await;
    world.settle().await;
    assert_eq!(world.texts.times(late), 0);
    world.in_seconds(31).await;
    world.settle().await;
    assert_eq!((world.text_phase(late).await, world.texts.times(late)), (Phase::Accepted, 1));
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn consent_is_looked_at_again_in_the_morning() {
    let world = World::texting().await;
    world.until_local(21, 1).await;
    let text = world.text_to_be_sent().await;
    world.settle().await;
    assert_eq!(world.text_phase(text).await, Phase::Deferred);
    world.hears(NUMBER, "alto", None).await;
    world.settle().await;
    // The answer to a word goes out at any hour.
    assert!(world.texts.sent().last().is_some_and(|reply| reply.body.contains("unsubscribed")));
    world.until_local(8, 0).await;
    world.settle().await;
    is_not_sent(&world, text, "ConsentRevoked").await;
}

#[tokio::test]
async fn a_night_in_which_clocks_change_sends_once_in_the_local_morning() {
    let world = World::texting().await;
    for _ in 0..2 {
        // The evening before the next day that is not 24 hours long.
        let today = world.today();
        let lasts = |day: chrono::NaiveDate| zone().at_hour(day.succ_opt().expect("a day"), 0) - zone().at_hour(day, 0);
        let day = today.iter_days().skip(2).take(400).find(|day| lasts(*day) != TimeDelta::days(1)).expect("a change");
        let evening = zone().at_hour(day.pred_opt().expect("a day"), 22);
        world.advance(evening - world.effects.engine.clock().now()).await;
        let text = world.text_to_be_sent().await;
        world.settle().await;
        let morning = zone().at_hour(day, 8);
        for instant in [zone().at_hour(day, 2), zone().at_hour(day, 4), morning - TimeDelta::seconds(60)] {
            world.advance(instant - world.effects.engine.clock().now()).await;
            world.settle().await;
            assert_eq!((world.text_phase(text).await, world.texts.times(text)), (Phase::Deferred, 0), "{instant}");
        }
        world.advance(morning + TimeDelta::seconds(1) - world.effects.engine.clock().now()).await;
        world.settle().await;
        world.in_seconds(3_600).await;
        world.settle().await;
        assert_eq!((world.text_phase(text).await, world.texts.times(text)), (Phase::Accepted, 1), "{day}");
        assert_eq!(world.times(text, "TextDeferred").await, 1);
    }
}

#[tokio::test]
async fn what_changed_since_the_request_is_looked_at_before_sending() {
    let world = World::texting().await;
    let switch = |on: bool| json!({ "property_id": crate::world::PROPERTY, "kind": "invoice-published", "on": on });
    let off = world.text_to_be_sent().await;
    world.manage("SwitchTextKind", switch(false)).await;
    world.settle().await;
    is_not_sent(&world, off, "KindSwitchedOff").await;
    world.manage("SwitchTextKind", switch(true)).await;

    let voided = world.text_to_be_sent().await;
    let told = world.told(voided, "TextRequested").await;
    let invoice = &told["content"]["InvoicePublished"]["invoice_id"];
    world.manage("VoidInvoice", world.body("VoidInvoice", json!({ "invoice_id": invoice }))).await;
    world.settle().await;
    is_not_sent(&world, voided, "Overtaken").await;

    let inactive = world.text_to_be_sent().await;
    let status = |status: &str| json!({ "resident_id": RESIDENT, "status": status });
    world.manage("ChangeResidentStatus", status("Inactive")).await;
    world.settle().await;
    is_not_sent(&world, inactive, "ResidentInactive").await;
}

#[tokio::test]
async fn delivered_before_sent_stays_delivered_and_ten_callbacks_are_one() {
    let world = World::texting().await;
    let text = world.text_to_be_sent().await;
    world.settle().await;
    for _ in 0..5 {
        world.callback(text, "delivered", None).await;
    }
    world.settle().await;
    for _ in 0..5 {
        world.callback(text, "sent", None).await;
    }
    world.settle().await;
    assert_eq!(world.text_phase(text).await, Phase::Delivered);
    let history = world.history(text).await;
    assert_eq!(history, ["TextRequested", "TextSending", "TextAccepted", "TextDelivered"]);
    assert_eq!(world.count("select count(*) from engine.webhooks where provider = 'twilio'").await, 2);
}

#[tokio::test]
async fn a_callback_before_the_providers_answer_is_bound_by_our_id() {
    let world = World::texting().await;
    let text = world.text_to_be_sent().await;
    world.texts.script.next("send", Trouble::LostAfter);
    world.settle().await;
    assert_eq!(world.text_phase(text).await, Phase::Unknown);
    world.callback(text, "delivered", None).await;
    world.settle_at_last().await;
    assert_eq!((world.text_phase(text).await, world.texts.times(text)), (Phase::Delivered, 1));
    let state: domain::TextMessage = world.state(text).await;
    assert_eq!(state.provider_id, Some(crate::fakes::texts::FakeTexts::id(text)));
    assert_eq!(world.row("SendText", text).await.1, "done");
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn callbacks_of_others_are_ignored() {
    let world = World::texting().await;
    let text = world.text_to_be_sent().await;
    world.settle().await;
    let organization = world.organization.0;
    for (organization, text, sid) in
        [(Uuid::now_v7(), text, "SM1"), (organization, Uuid::now_v7(), "SM2"), (organization, text, "SM3")]
    {
        let address = integrations::twilio::webhook::status_callback("", organization, text);
        world.hook(&address, &format!("MessageSid={sid}&MessageStatus=delivered")).await;
    }
    world.hook("/webhooks/twilio/status", "MessageSid=SM4&MessageStatus=delivered").await;
    world.settle().await;
    assert_eq!(world.text_phase(text).await, Phase::Accepted);
    assert_eq!(world.count("select count(*) from engine.webhooks where state = 'ignored'").await, 4);
}

#[tokio::test]
async fn a_block_at_the_provider_while_granted_ends_the_consent() {
    for by_callback in [false, true] {
        let world = World::texting().await;
        let text = world.text_to_be_sent().await;
        if by_callback {
            world.settle().await;
            world.callback(text, "undelivered", Some(21610)).await;
        } else {
            world.texts.script.next("send", Trouble::Refused("21610"));
        }
        world.settle_at_last().await;
        assert!(world.consent().await.standing().is_none());
        let source = "select count(*) from log.events where event_type = 'ConsentRevoked' and payload::jsonb->'ConsentRevoked'->>'source' = 'Provider'";
        assert_eq!(world.count(source).await, 1);
        let further = world.text_to_be_sent().await;
        world.settle().await;
        is_not_sent(&world, further, "ConsentRevoked").await;
        repeats_change_nothing(&world).await;
    }
}

#[tokio::test]
async fn a_number_that_nothing_reaches_is_not_texted_any_more() {
    let world = World::texting().await;
    let text = world.text_to_be_sent().await;
    world.settle().await;
    world.callback(text, "undelivered", Some(30005)).await;
    world.settle_at_last().await;
    let further = world.text_to_be_sent().await;
    world.settle().await;
    is_not_sent(&world, further, "ConsentInvalidated").await;
}

#[tokio::test]
async fn a_passing_failure_is_tried_twice_more_and_then_left() {
    let world = World::texting().await;
    let before = world.texts.sent().len();
    let mut text = world.text_to_be_sent().await;
    world.settle().await;
    for tried in 1..=3 {
        assert_eq!(world.texts.sent().len(), before + tried);
        world.callback(text, "undelivered", Some(30003)).await;
        world.settle().await;
        world.in_seconds(15 * 60 + 5).await;
        world.settle().await;
        text = world.texts.sent().last().map(|sent| sent.reference).expect("a text");
    }
    assert_eq!(world.texts.sent().len(), before + 3);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn what_arrived_after_all_is_not_sent_again() {
    let world = World::texting().await;
    let text = world.text_to_be_sent().await;
    world.settle().await;
    world.callback(text, "undelivered", Some(30008)).await;
    world.settle().await;
    world.callback(text, "delivered", None).await;
    let count = world.texts.sent().len();
    world.in_seconds(20 * 60).await;
    world.settle().await;
    assert_eq!((world.texts.sent().len(), world.text_phase(text).await), (count, Phase::Delivered));
}

#[tokio::test]
async fn a_sender_that_may_not_send_is_halted_until_a_person_says_so() {
    let world = World::texting().await;
    let (first, second) = (world.text_to_be_sent().await, world.text_to_be_sent().await);
    world.texts.script.next("send", Trouble::Refused("30034"));
    world.settle().await;
    world.settle().await;
    let third = world.text_to_be_sent().await;
    world.settle().await;
    is_not_sent(&world, third, "SenderHalted").await;
    let failed = [first, second];
    let mut phases = join_all(failed.map(|text| world.text_phase(text))).await;
    phases.sort_unstable();
    assert_eq!(phases, [Phase::Accepted, Phase::Failed]);
    let keys: Vec<String> = sqlx::query_scalar("select key from engine.outbox where state = 'unresolved'")
        .fetch_all(world.pool())
        .await
        .expect("keys");
    assert_eq!(keys.len(), 1);
    assert!(command_service::outbox::leave_undone(world.pool(), &keys[0]).await.expect("an answer"));
    let fourth = world.text_to_be_sent().await;
    world.settle().await;
    assert_eq!(world.text_phase(fourth).await, Phase::Accepted);
}

#[tokio::test]
async fn a_filtered_text_alerts_a_person_and_is_not_tried_again() {
    let world = World::texting().await;
    let text = world.text_to_be_sent().await;
    world.settle().await;
    world.callback(text, "undelivered", Some(30007)).await;
    world.settle().await;
    let count = world.texts.sent().len();
    world.in_seconds(86_400).await;
    world.settle().await;
    assert_eq!((world.texts.sent().len(), world.row("ActOnTextError", text).await.1.as_str()), (count, "unresolved"));
}

#[tokio::test]
async fn a_limit_of_the_provider_is_waited_out() {
    let world = World::texting().await;
    let text = world.text_to_be_sent().await;
    for _ in 0..3 {
        world.texts.script.next("send", Trouble::Retry);
    }
    world.settle_at_last().await;
    assert_eq!((world.text_phase(text).await, world.texts.times(text)), (Phase::Accepted, 1));
    assert_eq!(world.times(text, "TextSending").await, 1);
}

#[tokio::test]
async fn a_stop_during_a_limit_of_the_provider_still_wins() {
    let world = World::texting().await;
    let text = world.text_to_be_sent().await;
    world.texts.script.next("send", Trouble::Retry);
    world.settle().await;
    assert_eq!(world.text_phase(text).await, Phase::Sending);
    world.hears(NUMBER, "quit please", None).await;
    world.hears(NUMBER, "stop", None).await;
    world.settle_at_last().await;
    assert_eq!((world.text_phase(text).await, world.texts.times(text)), (Phase::Failed, 0));
    // And so do the hours.
    let world = World::texting().await;
    let text = world.text_to_be_sent().await;
    world.texts.script.next("send", Trouble::Retry);
    world.settle().await;
    world.until_local(21, 30).await;
    world.settle_at_last().await;
    assert_eq!((world.text_phase(text).await, world.texts.times(text)), (Phase::Sending, 0));
    world.until_local(8, 0).await;
    world.settle_at_last().await;
    assert_eq!((world.text_phase(text).await, world.texts.times(text)), (Phase::Accepted, 1));
}

#[tokio::test]
async fn a_time_out_after_the_provider_took_it_is_found_again() {
    let world = World::texting().await;
    let text = world.text_to_be_sent().await;
    world.texts.script.next("send", Trouble::LostAfter);
    world.texts.script.next("find", Trouble::LostBefore);
    world.settle_at_last().await;
    assert_eq!((world.text_phase(text).await, world.texts.times(text)), (Phase::Accepted, 1));
    assert_eq!(world.history(text).await, ["TextRequested", "TextSending", "TextOutcomeUnknown", "TextAccepted"]);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_time_out_before_the_provider_took_it_is_left_to_a_person_after_a_while() {
    let world = World::texting().await;
    let text = world.text_to_be_sent().await;
    world.texts.script.next("send", Trouble::LostBefore);
    world.settle_at_last().await;
    // Not there yet, which proves nothing.
    let (key, state) = world.row("SendText", text).await;
    assert_eq!((state.as_str(), world.text_phase(text).await), ("ready", Phase::Unknown));
    world.much_later().await;
    world.settle_at_last().await;
    assert_eq!(world.row("SendText", text).await.1, "unresolved");
    // A person who has it tried again does not have it sent again.
    assert!(world.retry(&key).await);
    world.settle_at_last().await;
    assert_eq!((world.texts.times(text), world.row("SendText", text).await.1.as_str()), (0, "unresolved"));
    world.manage("DecideTextOutcome", json!({ "text_id": text, "sent": false, "note": "Not in the log" })).await;
    world.settle().await;
    assert_eq!(world.text_phase(text).await, Phase::Failed);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn no_second_text_goes_out_however_the_call_fails() {
    let world = World::texting().await;
    for trouble in PASSING {
        let text = world.text_to_be_sent().await;
        world.texts.script.next("send", trouble);
        world.settle_at_last().await;
        is_sent_or_visible(&world, text).await;
        let lost = matches!(trouble, Trouble::LostBefore | Trouble::PanicBefore);
        let expected = if lost { Phase::Unknown } else { Phase::Accepted };
        assert_eq!(world.text_phase(text).await, expected, "{trouble:?}");
    }
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn no_second_text_goes_out_wherever_the_worker_dies() {
    let world = World::texting().await;
    survives_death_at_every_point(
        &world,
        async || world.text_to_be_sent().await,
        async |text| is_sent_or_visible(&world, text).await,
    )
    .await;
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn two_workers_with_the_same_tasks_send_once() {
    let world = World::texting().await;
    for _ in 0..4 {
        let text = world.text_to_be_sent().await;
        let (one, other) = (world.worker(), world.worker());
        let first = one.claim(100).await.expect("claims");
        // The first has lost its claim without knowing.
        world.sql("update engine.outbox set lease_until = '-infinity' where holder is not null").await;
        let second = other.claim(100).await.expect("claims");
        join!(
            join_all(first.iter().map(|task| one.carry_out(task))),
            join_all(second.iter().map(|task| other.carry_out(task))),
        );
        world.settle_at_last().await;
        is_sent_or_visible(&world, text).await;
        assert_eq!(world.texts.times(text), 1);
    }
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn where_texts_are_switched_off_each_is_recorded_as_not_sent() {
    let mut world = World::texting().await;
    world.effects.providers.texts = None;
    let text = world.text_to_be_sent().await;
    world.settle().await;
    is_not_sent(&world, text, "SenderHalted").await;
}

#[tokio::test]
async fn what_people_and_the_provider_say_counts_while_texts_are_switched_off() {
    // Twilio refuses a number that was handed over before.
    let mut world = World::texting().await;
    let text = world.text_to_be_sent().await;
    world.settle().await;
    world.effects.providers.texts = None;
    world.callback(text, "undelivered", Some(21610)).await;
    world.settle_at_last().await;
    assert!(world.consent().await.standing().is_none(), "blocked at the provider");
    let mut world = World::texting().await;
    world.effects.providers.texts = None;
    let count = world.texts.sent().len();
    world.hears(NUMBER, "arret", None).await;
    world.settle_at_last().await;
    assert!(world.consent().await.standing().is_none(), "ended by a word");
    assert_eq!(world.texts.sent().len(), count, "nothing is sent, not even an answer");
    repeats_change_nothing(&world).await;
}

/// Halts the worker where it has noted that it calls the provider, and before it does, until something else has happened.
async fn between_note_and_call(world: &World, meanwhile: impl AsyncFnOnce()) {
    world
        .sql(
            "create function held() returns trigger language plpgsql as
                 $$ begin perform pg_advisory_xact_lock_shared(4711); return new; end $$;
             create trigger held before update of calling on engine.outbox for each row
                 when (new.calling and not old.calling) execute function held()",
        )
        .await;
    let mut gate = world.pool().acquire().await.expect("a connection");
    sqlx::query("select pg_advisory_lock(4711)").execute(&mut *gate).await.expect("a closed gate");
    let worker = world.worker();
    let other = async {
        let waiting = "select exists (select 1 from pg_locks where locktype = 'advisory' and not granted)";
        while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(world.pool()).await.expect("an answer") {}
        meanwhile().await;
        sqlx::query("select pg_advisory_unlock(4711)").execute(&mut *gate).await.expect("an open gate");
    };
    join!(async { worker.drain().await.expect("work") }, other);
    world.sql("drop trigger held on engine.outbox; drop function held()").await;
}

/// Case 31.
#[tokio::test]
async fn what_ends_consent_after_the_intent_and_before_the_call_wins() {
    for end in ["STOP", "who is this?", "another number", "inactive"] {
        let world = World::texting().await;
        let text = world.text_to_be_sent().await;
        between_note_and_call(&world, async || {
            assert_eq!(world.text_phase(text).await, Phase::Sending);
            let resident = |field: &str, value: &str| json!({ "resident_id": RESIDENT, field: value });
            match end {
                "another number" => {
                    world.manage("ChangeResidentPhone", resident("phone", "+13055550188")).await;
                }
                "inactive" => {
                    world.manage("ChangeResidentStatus", resident("status", "Inactive")).await;
                }
                said => {
                    world.hears(NUMBER, said, None).await;
                    intake::process(&world.effects, Intake::Texts).await.expect("an understood text");
                }
            }
        })
        .await;
        assert_eq!(world.texts.times(text), 0, "{end}");
        world.settle_at_last().await;
        let expected = if end == "who is this?" { Phase::Sending } else { Phase::Failed };
        assert_eq!((world.text_phase(text).await, world.texts.times(text)), (expected, 0), "{end}");
    }
}

#[tokio::test]
async fn what_was_to_go_out_under_a_consent_that_ended_does_not_go_out_under_the_next_one() {
    let world = World::texting().await;
    let text = world.text_to_be_sent().await;
    world.texts.script.next("send", Trouble::Retry);
    world.settle().await;
    assert_eq!(world.text_phase(text).await, Phase::Sending);
    for word in ["STOP", "START"] {
        world.hears(NUMBER, word, None).await;
        intake::process(&world.effects, Intake::Texts).await.expect("an understood text");
    }
    assert!(world.consent().await.standing().is_some());
    world.settle_at_last().await;
    assert_eq!((world.text_phase(text).await, world.texts.times(text)), (Phase::Failed, 0));
    // What is asked for from now on goes out, and says so.
    let next = world.text_to_be_sent().await;
    world.settle().await;
    assert_eq!(world.texts.times(next), 1);
    let version = world.consent().await.standing().map(|(.., version)| version).expect("granted");
    let told = world.told(next, "TextSending").await;
    assert_eq!(told["grounds"]["consent"], json!(SmsConsent::reference(RESIDENT, version)));
}

#[tokio::test]
async fn a_lost_answer_is_looked_for_as_long_after_the_last_call_as_after_the_first() {
    let world = World::texting().await;
    let text = world.text_to_be_sent().await;
    world.texts.script.next("send", Trouble::Retry);
    world.settle().await;
    // The provider was at its limit for twenty minutes.
    let earlier = "update engine.outbox set first_called_at = now() - interval '20 minutes', last_called_at = now() - interval '20 minutes'
                   where name = 'SendText' and state = 'ready'";
    world.sql(earlier).await;
    world.texts.script.next("send", Trouble::LostBefore);
    world.settle_at_last().await;
    assert_eq!((world.text_phase(text).await, world.row("SendText", text).await.1.as_str()), (Phase::Unknown, "ready"));
    world.much_later().await;
    world.settle_at_last().await;
    assert_eq!((world.texts.times(text), world.row("SendText", text).await.1.as_str()), (0, "unresolved"));
}

#[tokio::test]
async fn a_number_that_somebody_merely_typed_tells_them_nothing_and_gets_few_codes() {
    let mut world = World::texting().await;
    let home = world.organization;
    // Before the owner in every order, in the owner's organization and in another one.
    let snoops = [ResidentId(Uuid::from_u128(1)), ResidentId(Uuid::from_u128(2))];
    let first = world.neighbour(snoops[0]).await;
    world.types_number(snoops[0], first, NUMBER, "America/Toronto").await.expect("a code");
    world.settle().await;
    world.organization = OrganizationId(Uuid::now_v7());
    let register = world.body("RegisterOrganization", json!({}));
    world
        .execute(Ask::operator(world.organization), "RegisterOrganization", register)
        .await
        .expect("another organization");
    let second = world.neighbour(snoops[1]).await;
    world.types_number(snoops[1], second, NUMBER, "America/Toronto").await.expect("a code");
    world.settle().await;
    let (home, elsewhere) = (home, world.organization);
    world.organization = home;
    let heard = async |snoop: usize| {
        let organization = [home, elsewhere][snoop];
        let id = SmsConsent::id(snoops[snoop]).to_string();
        sqlx::query_scalar::<_, String>(
            "select event_type from log.events where organization_id = $1 and aggregate_id = $2 and event_type in
             ('InboundReceived', 'SendsPaused', 'ConsentRevoked') order by sequence",
        )
        .bind(organization.0)
        .bind(id)
        .fetch_all(world.pool())
        .await
        .expect("events")
    };
    let count = world.texts.sent().len();
    world.hears(NUMBER, "The door code is 4711", None).await;
    world.settle().await;
    assert_eq!((heard(0).await.len(), heard(1).await.len()), (0, 0), "not theirs to read");
    let received = "select count(*) from log.events where event_type = 'InboundReceived'";
    assert_eq!(world.count(received).await, 1, "kept with the resident whose number it is");

    // A word counts for all of them, and the one whose consent it ended answers.
    world.hears(NUMBER, "Arret", None).await;
    world.settle().await;
    assert!(world.consent().await.standing().is_none());
    for snoop in [0, 1] {
        assert_eq!(heard(snoop).await, ["InboundReceived", "ConsentRevoked"]);
    }
    assert_eq!(world.texts.sent().len(), count + 1, "one answer");
    let replies: Vec<String> = sqlx::query_scalar(
        "select payload::jsonb->'TextRequested'->>'resident_id' from log.events where event_type = 'TextRequested'
         and payload::text like '%KeywordReply%'",
    )
    .fetch_all(world.pool())
    .await
    .expect("answers");
    assert_eq!(replies, [RESIDENT.to_string()]);
    // Whoever typed it gets no further code sent there.
    let again = world.types_number(snoops[0], first, NUMBER, "America/Toronto").await;
    assert!(matches!(again, Err(Fault::Refused { code: "Unwelcome", .. })), "{again:?}");
    // The word that brings back is answered by the one that it brings something back to.
    world.hears(NUMBER, "reprendre", None).await;
    world.settle().await;
    assert!(world.consent().await.standing().is_some());
    assert_eq!(world.texts.sent().len(), count + 2);
    let last = world.texts.sent().pop().expect("an answer");
    let told = world.told(last.reference, "TextRequested").await;
    assert_eq!(told["content"]["KeywordReply"]["reply"], "Restarted", "{told}");
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn several_residents_together_have_no_more_codes_sent_to_a_number_than_one() {
    let world = World::texting().await;
    let number = "+14165550166";
    let mut texted = 0;
    for resident in 1..=5_u128 {
        let resident = ResidentId(Uuid::from_u128(resident));
        let property = world.neighbour(resident).await;
        world.types_number(resident, property, number, "America/Toronto").await.expect("saved");
        world.settle().await;
        texted = world.texts.sent().iter().filter(|text| text.to == number).count();
    }
    assert_eq!(texted, 3, "in an hour");
    let suppressed: Vec<serde_json::Value> =
        sqlx::query_scalar("select payload from log.events where event_type = 'TextSuppressed'")
            .fetch_all(world.pool())
            .await
            .expect("events");
    assert_eq!(suppressed.len(), 2);
    assert!(suppressed.iter().all(|told| told["TextSuppressed"]["reason"] == "TooManyCodes"), "{suppressed:?}");
    // Other numbers have their own.
    let other = ResidentId(Uuid::from_u128(9));
    let property = world.neighbour(other).await;
    world.agrees_as(other, property, "+14165550167", "America/Toronto").await;
    assert!(world.consent_of(other).await.standing().is_some());
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn who_may_be_where_no_hour_is_permitted_in_common_is_left_to_a_person() {
    let world = World::texting().await;
    // At home in Toronto, a number from Los Angeles, a browser in Kolkata.
    world.agrees_as(RESIDENT, PROPERTY, "+12135550143", "America/Toronto").await;
    world.until_local(12, 0).await;
    let usual = world.text_to_be_sent().await;
    world.settle().await;
    assert_eq!(world.texts.times(usual), 1, "permitted in both");
    world.until_local(10, 0).await;
    world.agrees_as(RESIDENT, PROPERTY, "+12135550144", "Asia/Kolkata").await;
    let text = world.text_to_be_sent().await;
    for hour in [10, 12, 18, 23, 4] {
        world.until_local(hour, 0).await;
        world.settle_at_last().await;
        assert_eq!(world.texts.times(text), 0, "{hour}");
    }
    assert_eq!(world.row("SendText", text).await.1, "unresolved");
}

/// Case 35.
#[tokio::test]
async fn help_is_answered_in_the_residents_language_and_changes_nothing() {
    let world = World::texting().await;
    for (language, word, part) in [("fr", "aide", "Répondez ARRET"), ("es", "HELP ME", "ALTO"), ("en", "ayuda", "STOP")]
    {
        let before = world.consent().await.standing().map(|(key, _, version)| (key, version));
        world.manage("ChangeResidentLanguage", json!({ "resident_id": RESIDENT, "language": language })).await;
        world.settle().await;
        world.hears(NUMBER, word, None).await;
        world.settle().await;
        let answer = world.texts.sent().pop().expect("an answer");
        assert!(answer.body.contains(part) && answer.to == NUMBER, "{language}: {}", answer.body);
        let told = world.told(answer.reference, "TextRequested").await;
        assert_eq!((&told["language"], &told["fallback"]), (&json!(language), &json!(false)));
        assert_eq!(world.consent().await.standing().map(|(key, _, version)| (key, version)), before);
    }
}

/// Case 50. Every text is written in every language today; one that were not would be requested so.
#[tokio::test]
async fn a_language_that_stands_in_for_the_residents_is_on_record_and_is_what_goes_out() {
    let world = World::texting().await;
    world.manage("ChangeResidentLanguage", json!({ "resident_id": RESIDENT, "language": "fr" })).await;
    let text = world.text_in(Language::En, true).await;
    world.settle().await;
    let told = world.told(text, "TextRequested").await;
    assert_eq!((&told["language"], &told["fallback"]), (&json!("en"), &json!(true)));
    let sent = world.texts.sent().pop().expect("a text");
    assert!(sent.reference == text && sent.body.contains("Reply STOP to opt out."), "{}", sent.body);
}

/// The resident's bundle as of now.
async fn bundle_of(world: &World) -> String {
    world.sequence().await;
    let checkpointer = Checkpointer::new(world.pool().clone(), world.store().keyring().clone(), None);
    world.sql("update engine.leases set expires_at = '-infinity'").await;
    let lease = Lease::acquire(world.pool(), "checkpointer", Uuid::now_v7()).await.expect("an answer");
    let lease = lease.expect("a free lease");
    checkpointer.step(&lease).await.expect("a step").expect("a held lease");
    lease.release(world.pool()).await.expect("a release");
    let mut out = Vec::new();
    disclosure::bundle(world.store(), world.organization, RESIDENT.0, &[], &mut out).await.expect("a bundle");
    String::from_utf8(out).expect("a text")
}

/// Case 52.
#[tokio::test]
async fn another_disclosure_leaves_what_was_agreed_to_before_and_its_proof_as_they_were() {
    let world = World::texting().await;
    let before = bundle_of(&world).await;
    let version = world.consent().await.standing().map(|(.., version)| version);
    world.manage("PublishDisclosure", world.body("PublishDisclosure", json!({}))).await;
    world.settle().await;
    assert_eq!(world.consent().await.standing().map(|(.., version)| version), version);
    let text = world.text_to_be_sent().await;
    world.settle().await;
    let consent = version.map(|version| SmsConsent::reference(RESIDENT, version));
    assert_eq!(world.told(text, "TextSending").await["grounds"]["consent"], json!(consent));
    let after = bundle_of(&world).await;
    let told = |bundle: &str| -> Vec<String> {
        let names = ["DisclosureShown", "ConsentRequested", "ConsentGranted"];
        let lines = bundle.lines().filter(|line| names.iter().any(|name| line.contains(name)));
        lines.map(ToOwned::to_owned).collect()
    };
    assert!(told(&before).len() >= 3, "{before}");
    assert_eq!(told(&before), told(&after), "to the letter");
    // The one that was made before is as good as ever, beside the new one.
    for bundle in [&before, &after] {
        let verified = transparency::bundle::verify(bundle.as_bytes(), None, &[]);
        assert!(verified.is_ok(), "{verified:?}");
    }
}

#[tokio::test]
async fn a_text_that_may_mean_stop_holds_everything_until_somebody_has_read_it() {
    let world = World::texting().await;
    world.hears(NUMBER, "the bus stop is broken", None).await;
    world.settle().await;
    let text = world.text_to_be_sent().await;
    world.settle().await;
    assert_eq!((world.text_phase(text).await, world.texts.times(text)), (Phase::Deferred, 0));
    assert_eq!(world.told(text, "TextDeferred").await["reason"], "HeldForPerson");
}
