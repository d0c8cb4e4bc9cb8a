//! Every row once, in every order.

use projections::{Cursor, Page, Paging, QueryError, invoice, payment, resident, unit};
use uuid::Uuid;

use crate::{
    story::{Story, start},
    world::World,
};

/// Walks through a list by pages of `limit`.
macro_rules! walk {
    ($limit:expr, |$paging:ident| $list:expr, |$item:ident| $id:expr) => {{
        let mut after: Option<Cursor> = None;
        let mut seen: Vec<Uuid> = Vec::new();
        loop {
            let $paging = Paging { limit: $limit, after: after.take() };
            let page = $list.await.expect("a page");
            assert!(page.items.len() <= $limit);
            seen.extend(page.items.iter().map(|$item| $id));
            match page.next {
                Some(next) => after = Some(next),
                None => break seen,
            }
        }
    }};
}

fn each_once(mut seen: Vec<Uuid>, expected: usize) {
    assert_eq!(seen.len(), expected);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), expected);
}

#[tokio::test]
async fn every_invoice_and_payment_comes_once_in_every_order() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    for number in 0..11 {
        let (amount, due) = (1_000 * (number % 3 + 1), format!("2026-02-{:02}", number % 4 + 1));
        if number % 5 == 0 {
            story.drafts(&mut world, 0, amount, &due).await;
        } else {
            let bill = story.publishes(&mut world, 1, amount, &due).await;
            story.pays_by_hand(&mut world, 1, bill, (100, amount - 100), "2026-01-05", start()).await;
        }
    }
    world.drain().await;
    let mut tenant = world.tenant(story.organization).await;
    for descending in [false, true] {
        for sort in [invoice::SortBy::DueOn, invoice::SortBy::Total, invoice::SortBy::PublishedAt] {
            let filter = invoice::Filter::default();
            let seen =
                walk!(2, |paging| invoice::list(&mut tenant, &filter, start(), sort, descending, &paging), |view| view
                    .invoice
                    .invoice_id);
            each_once(seen, 11);
        }
        for sort in [payment::SortBy::RequestedAt, payment::SortBy::Amount] {
            let filter = payment::Filter::default();
            let seen = walk!(3, |paging| payment::list(&mut tenant, &filter, sort, descending, &paging), |view| view
                .payment
                .payment_id);
            each_once(seen, 8);
        }
    }
    let filter = invoice::Filter { search: Some("JANUARY".into()), status: Some("Draft".into()), ..Default::default() };
    let all = Paging::default();
    let drafts =
        invoice::list(&mut tenant, &filter, start(), invoice::SortBy::Total, true, &all).await.expect("drafts");
    assert_eq!(drafts.items.len(), 3);
    let due = "2026-02-02".parse().ok();
    let filter = invoice::Filter { due_from: due, due_until: due, ..Default::default() };
    let due = invoice::list(&mut tenant, &filter, start(), invoice::SortBy::Total, true, &all).await.expect("invoices");
    assert_eq!(due.items.len(), 3);
}

#[tokio::test]
async fn units_come_in_natural_order_with_their_occupants_and_residents_by_name() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    world.drain().await;
    let mut tenant = world.tenant(story.organization).await;
    let filter = unit::Filter { property: Some(story.property), ..Default::default() };
    let seen = walk!(1, |paging| unit::list(&mut tenant, &filter, &paging), |view| view.unit.unit_id);
    assert_eq!(seen, story.units);
    let first = unit::detail(&mut tenant, filter.visibility, story.units[0]).await.expect("an answer").expect("a unit");
    assert_eq!(first.occupants[0].name.as_deref(), Some("Zoë Álvarez"));
    let filter = resident::Filter::default();
    let seen = walk!(1, |paging| resident::list(&mut tenant, &filter, &paging), |row| row.resident_id);
    assert_eq!(seen, story.residents);
}

#[tokio::test]
async fn a_cursor_from_elsewhere_is_refused() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    story.publishes(&mut world, 0, 1_000, "2026-02-01").await;
    story.publishes(&mut world, 0, 2_000, "2026-02-01").await;
    world.drain().await;
    let filter = invoice::Filter::default();
    let mut page: Page<_> = {
        let mut tenant = world.tenant(story.organization).await;
        let paging = Paging { limit: 1, after: None };
        invoice::list(&mut tenant, &filter, start(), invoice::SortBy::DueOn, false, &paging).await.expect("a page")
    };
    let good = page.next.take().expect("a cursor");
    for (cursor, stale) in [
        (Cursor { incarnation: 2, ..good.clone() }, true),
        (Cursor { sort: "-total".into(), ..good.clone() }, false),
        (Cursor { value: "some day".into(), ..good }, false),
    ] {
        let mut tenant = world.tenant(story.organization).await;
        let paging = Paging { limit: 1, after: Some(cursor) };
        let refused = invoice::list(&mut tenant, &filter, start(), invoice::SortBy::DueOn, false, &paging).await;
        match refused.expect_err("a refusal") {
            QueryError::StaleCursor => assert!(stale),
            QueryError::BadCursor => assert!(!stale),
            other => panic!("{other}"),
        }
    }
}
