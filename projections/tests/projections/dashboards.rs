//! The dashboard's numbers against numbers worked out by hand.

use projections::{
    Visibility,
    dashboard::{AgeTotal, Collected, StatusTotal, Unresolved, dashboard},
};

use crate::{
    story::Story,
    world::{World, at},
};

#[tokio::test]
async fn what_is_owed_is_aged_by_the_propertys_day() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    // The 15th in UTC, still the 14th in Toronto.
    let now = at("2026-03-15T03:30:00Z");
    for (amount, due_on) in [
        (1, "2026-03-14"),
        (2, "2026-03-13"),
        (4, "2026-02-12"),
        (8, "2026-02-11"),
        (16, "2026-01-13"),
        (32, "2026-01-12"),
        (64, "2025-12-14"),
        (128, "2025-12-13"),
    ] {
        story.publishes(&mut world, 0, amount, due_on).await;
    }
    let half = story.publishes(&mut world, 1, 1_000, "2026-03-01").await;
    story.pays_by_hand(&mut world, 1, half, (400, 600), "2026-01-05", at("2026-01-06T12:00:00Z")).await;
    let paid = story.publishes(&mut world, 1, 3_000, "2026-03-01").await;
    story.pays_by_hand(&mut world, 1, paid, (3_000, 0), "2026-01-05", at("2026-01-06T12:00:00Z")).await;
    story.drafts(&mut world, 1, 5_000, "2026-04-01").await;
    world.drain().await;
    let mut tenant = world.tenant(story.organization).await;
    let board = dashboard(&mut tenant, Visibility::default(), Some(story.property), now).await.expect("a dashboard");
    let age = |age: &str, count, balance| AgeTotal { currency: "CAD".into(), age: age.into(), count, balance };
    assert_eq!(
        board.aging,
        [
            age("NotYetDue", 1, 1),
            age("0-30", 3, 2 + 4 + 600),
            age("31-60", 2, 8 + 16),
            age("61-90", 2, 32 + 64),
            age("90+", 1, 128),
        ]
    );
    let status = |status: &str, count, total, paid, balance| StatusTotal {
        currency: "CAD".into(),
        status: status.into(),
        count,
        total,
        paid,
        balance,
    };
    assert_eq!(
        board.by_status,
        [
            status("Draft", 1, 5_000, 0, 0),
            status("Open", 1, 1, 0, 1),
            status("Overdue", 8, 254 + 1_000, 400, 254 + 600),
            status("Paid", 1, 3_000, 3_000, 0),
        ]
    );
    assert_eq!((board.drafts, board.this_month, board.unresolved), (1, vec![], Unresolved::default()));
    let elsewhere = Visibility { property: Some(uuid::Uuid::now_v7()), resident: None };
    assert_eq!(dashboard(&mut tenant, elsewhere, None, now).await.expect("a dashboard").by_status, []);
}

#[tokio::test]
async fn collected_this_month_is_net_of_what_went_back_this_month() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    let bill = story.publishes(&mut world, 0, 100_000, "2026-03-31").await;
    story.pays_by_hand(&mut world, 0, bill, (1_000, 99_000), "2026-03-01", at("2026-03-02T15:00:00Z")).await;
    let february =
        story.pays_by_hand(&mut world, 0, bill, (2_000, 97_000), "2026-02-28", at("2026-03-02T15:00:00Z")).await;
    // Half past eleven on the last of February in Toronto, half past midnight on the first of March.
    for (amount, fee, when) in [(300, 11, "2026-03-01T04:30:00Z"), (4_000, 150, "2026-03-01T05:30:00Z")] {
        let payment = story.opens_form(&mut world, 0, bill, amount, fee).await;
        story.applies(&mut world, 0, bill, payment, (amount, 90_000), at(when)).await;
    }
    story.corrects(&mut world, bill, february, (500, 90_500), at("2026-03-10T15:00:00Z")).await;
    world.drain().await;
    let mut tenant = world.tenant(story.organization).await;
    let now = at("2026-03-31T23:00:00Z");
    let board = dashboard(&mut tenant, Visibility::default(), None, now).await.expect("a dashboard");
    let expected = Collected {
        currency: "CAD".into(),
        collected: 4_500,
        received: 5_000,
        reversed: 500,
        fees: 150,
        processing_fees: 0,
    };
    assert_eq!(board.this_month, [expected]);
}
