//! The due date is a day at the property, whatever the clock of the server says.

use super::*;

/// Draft and publication at an instant, due on a day, in a zone: both are accepted, or both refused for the same day.
fn due(due_on: &str, zone: &str, now: &str) -> Result<(), NaiveDate> {
    let (now, usd) = (instant(now), usd(10_000));
    let ask = |answer: Result<Vec<InvoiceEvent>, InvoiceRefusal>| match answer {
        Ok(_) => Ok(()),
        Err(InvoiceRefusal::DueInThePast { today }) => Err(today),
        Err(why) => panic!("refused for another reason: {why}"),
    };
    let surroundings = |facts| Context { now, ..crate::testing::context(facts) };
    let facts = community_of(property_in(zone, Currency::USD));
    let command = DraftInvoice { due_on: day(due_on), ..draft() };
    let on_draft = ask(command.decide(&Invoice::default(), &surroundings(facts)));
    let invoice = state::<Invoice>([drafted_of(usd, due_on, zone)]);
    let on_publication = ask(publish().decide(&invoice, &surroundings(Facts::default())));
    assert_eq!(on_draft, on_publication);
    on_draft
}

#[test]
fn today_is_accepted_to_the_last_minute_of_the_local_day() {
    // 23:59 of 1 March in New York is 04:59 of 2 March in UTC.
    assert_eq!(due("2026-03-01", "America/New_York", "2026-03-02T04:59:59Z"), Ok(()));
    assert_eq!(due("2026-03-01", "America/New_York", "2026-03-02T05:00:00Z"), Err(day("2026-03-02")));
}

#[test]
fn the_same_instant_is_another_day_elsewhere() {
    // 10:30 UTC: 00:30 of 2 March on Kiritimati (UTC+14), 02:30 of 1 March in Los Angeles.
    let now = "2026-03-01T10:30:00Z";
    assert_eq!(due("2026-03-01", "Pacific/Kiritimati", now), Err(day("2026-03-02")));
    assert_eq!(due("2026-03-02", "Pacific/Kiritimati", now), Ok(()));
    assert_eq!(due("2026-03-01", "America/Los_Angeles", now), Ok(()));
    assert_eq!(due("2026-02-28", "America/Los_Angeles", now), Err(day("2026-03-01")));
}

#[test]
fn days_of_23_and_25_hours_end_at_local_midnight() {
    // Summer time begins on 8 March and ends on 1 November 2026 in New York.
    assert_eq!(due("2026-03-08", "America/New_York", "2026-03-09T03:59:59Z"), Ok(()));
    assert_eq!(due("2026-03-08", "America/New_York", "2026-03-09T04:00:00Z"), Err(day("2026-03-09")));
    assert_eq!(due("2026-11-01", "America/New_York", "2026-11-02T04:59:59Z"), Ok(()));
    assert_eq!(due("2026-11-01", "America/New_York", "2026-11-02T05:00:00Z"), Err(day("2026-11-02")));
}

#[test]
fn the_29_february_is_a_day_like_others() {
    assert_eq!(due("2028-02-29", "America/Toronto", "2028-03-01T04:59:59Z"), Ok(()));
    assert_eq!(due("2028-02-29", "America/Toronto", "2028-03-01T05:00:00Z"), Err(day("2028-03-01")));
    assert_eq!(due("2028-02-28", "America/Toronto", "2028-02-29T12:00:00Z"), Err(day("2028-02-29")));
}

#[test]
fn ten_years_ahead_is_the_farthest() {
    let command = |due_on: &str| DraftInvoice { due_on: day(due_on), ..draft() };
    given([]).facts(community()).refuses(command("2036-03-03"), InvoiceRefusal::TooFarAhead);
    let farthest = drafted_of(usd(10_000), "2036-03-01", "America/New_York");
    given([]).facts(community()).accepts(command("2036-03-01"), [farthest]);
}

#[test]
fn an_edit_may_keep_a_due_date_that_passed_but_not_move_to_one() {
    let late = instant("2026-04-15T12:00:00Z");
    given(published()).at(late).accepts(edit(9_000), [edited(9_000)]);
    let moved = |due_on: &str| EditInvoice { due_on: day(due_on), ..edit(10_000) };
    let today = day("2026-04-15");
    given(published()).at(late).refuses(moved("2026-04-14"), InvoiceRefusal::DueInThePast { today });
    given(published()).at(late).refuses(moved("2136-04-15"), InvoiceRefusal::TooFarAhead);
    given([drafted()]).at(late).refuses(publish(), InvoiceRefusal::DueInThePast { today });
}

#[test]
fn money_received_today_at_the_property_is_not_in_the_future() {
    // 1 March in UTC, already 2 March on Kiritimati.
    let kiritimati = vec![
        drafted_of(usd(10_000), "2026-03-31", "Pacific/Kiritimati"),
        InvoiceEvent::InvoicePublished { resident_id: RESIDENT, notify: true },
    ];
    let now = instant("2026-03-01T10:30:00Z");
    let command = RecordOfflinePayment { received_on: day("2026-03-02"), ..offline(PAYMENT, 10_000) };
    let event = InvoiceEvent::PaymentApplied {
        payment_id: PAYMENT,
        resident_id: RESIDENT,
        amount: usd(10_000),
        balance: usd(0),
        source: PaymentSource::Offline {
            method: OfflineMethod::Check,
            reference: Some(from("1042")),
            received_on: day("2026-03-02"),
        },
    };
    given(kiritimati).at(now).accepts(command.clone(), [event]);
    given(published()).at(now).refuses(command, InvoiceRefusal::ReceivedInTheFuture { today: day("2026-03-01") });
}
