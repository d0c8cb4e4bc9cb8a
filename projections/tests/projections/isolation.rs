//! Who sees what: organizations, properties, residents.

use projections::{Paging, Visibility, autopay, credit, invoice, message, models, payment, payout, resident, unit};

use crate::{
    story::{Story, start},
    world::{World, organization},
};

#[tokio::test]
async fn another_organization_sees_nothing() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    story.goes_on(&mut world).await;
    world.drain().await;
    for (organization, expected) in [(story.organization, false), (organization(), true)] {
        for model in models() {
            let mut tenant = world.tenant(organization).await;
            let count: i64 = sqlx::query_scalar(&format!("select count(*) from read.{}", model.name()))
                .fetch_one(&mut *tenant)
                .await
                .expect("a count");
            assert_eq!(count == 0, expected, "{} of {organization}", model.name());
        }
    }
    // Without an organization there is nothing at all.
    let count: i64 = sqlx::query_scalar("select count(*) from read.invoice")
        .fetch_one(&world.database.query)
        .await
        .expect("a count");
    assert_eq!(count, 0);
}

#[tokio::test]
async fn a_resident_sees_own_things_and_no_drafts() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    let (paid, _, _) = story.goes_on(&mut world).await;
    let draft = story.drafts(&mut world, 0, 700, "2026-02-28").await;
    world.drain().await;
    let mut tenant = world.tenant(story.organization).await;
    let (paging, now) = (Paging::default(), start());
    let mine = Visibility { resident: Some(story.residents[0]), property: None };
    let filter = invoice::Filter { visibility: mine, ..Default::default() };
    let sort = invoice::SortBy::DueOn;
    let invoices = invoice::list(&mut tenant, &filter, now, sort, false, &paging).await.expect("invoices");
    assert_eq!(invoices.items.len(), 2);
    assert!(invoices.items.iter().any(|view| view.invoice.invoice_id == paid));
    assert!(invoices.items.iter().all(|view| view.invoice.resident_id == story.residents[0]));
    assert!(invoice::detail(&mut tenant, mine, now, draft).await.expect("an answer").is_none());
    let filter = resident::Filter { visibility: mine, ..Default::default() };
    let residents = resident::list(&mut tenant, &filter, &paging).await.expect("residents");
    assert_eq!(residents.items.iter().map(|row| row.resident_id).collect::<Vec<_>>(), [story.residents[0]]);
    let filter = payment::Filter { visibility: mine, ..Default::default() };
    let payments = payment::list(&mut tenant, &filter, payment::SortBy::RequestedAt, true, &paging).await;
    let payments = payments.expect("payments").items;
    assert!(payments.len() == 2 && payments.iter().all(|view| view.payment.resident_id == story.residents[0]));
    let filter = message::Filter { visibility: mine, ..Default::default() };
    assert_eq!(message::list(&mut tenant, &filter, &paging).await.expect("messages").items.len(), 1);
    let filter = unit::Filter { visibility: mine, ..Default::default() };
    assert_eq!(unit::list(&mut tenant, &filter, &paging).await.expect("units").items.len(), 1);
    let board = projections::dashboard::dashboard(&mut tenant, mine, None, now).await.expect("a dashboard");
    assert_eq!(board.drafts, 0);
}

#[tokio::test]
async fn a_property_sees_its_own_part() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    story.goes_on(&mut world).await;
    world.drain().await;
    let mut tenant = world.tenant(story.organization).await;
    let paging = Paging::default();
    for (property, expected) in [(story.property, 2), (uuid::Uuid::now_v7(), 0)] {
        let visibility = Visibility { property: Some(property), resident: None };
        let filter = resident::Filter { visibility, search: Some("RESIDENT".into()), ..Default::default() };
        assert_eq!(resident::list(&mut tenant, &filter, &paging).await.expect("residents").items.len(), expected);
        let filter = payment::Filter { visibility, ..Default::default() };
        let payments = payment::list(&mut tenant, &filter, payment::SortBy::Amount, false, &paging).await;
        // Three online, one by hand, which knows its property through its invoice.
        assert_eq!(payments.expect("payments").items.len(), if expected > 0 { 4 } else { 0 });
        let filter = autopay::Filter { visibility, ..Default::default() };
        let found = autopay::list(&mut tenant, &filter, autopay::SortBy::NextAttempt, false, &paging).await;
        assert_eq!(found.expect("enrollments").items.len(), expected / 2);
        let filter = credit::Filter { visibility, available: true, ..Default::default() };
        let found = credit::list(&mut tenant, &filter, credit::SortBy::Balance, true, &paging).await;
        assert_eq!(found.expect("credits").items.len(), expected / 2);
        let filter = payout::Filter { visibility, ..Default::default() };
        let found = payout::list(&mut tenant, &filter, payout::SortBy::Amount, true, &paging).await;
        assert_eq!(found.expect("payouts").items.len(), expected / 2);
        let tokens = projections::access_token::list(&mut tenant, visibility, &paging).await.expect("tokens");
        assert_eq!(tokens.items.len(), expected / 2);
        let accounts = projections::stripe_account::list(&mut tenant, visibility, &paging).await.expect("accounts");
        assert_eq!(accounts.items.len(), expected / 2);
        let filter = projections::job::Filter { visibility, ..Default::default() };
        let jobs = projections::job::list(&mut tenant, &filter, &paging).await.expect("jobs");
        assert_eq!(jobs.items.len(), expected / 2);
        for job in jobs.items {
            let items = projections::job::items(&mut tenant, visibility, job.job_id, true, &paging).await;
            assert_eq!(items.expect("items").items.len(), 1);
        }
        let filter = projections::suppression::Filter { visibility, lifted: Some(false), resident: None };
        let entries = projections::suppression::list(&mut tenant, &filter, &paging).await.expect("entries");
        assert_eq!(entries.items.len(), expected / 2);
        let filter = projections::property::Filter { visibility, search: Some("rose".into()) };
        let properties = projections::property::list(&mut tenant, &filter, &paging).await.expect("properties");
        assert_eq!(properties.items.len(), expected / 2);
    }
}

#[tokio::test]
async fn residents_are_found_whatever_the_accents_and_case() {
    let mut world = World::new().await;
    let story = Story::begin(&mut world).await;
    world.drain().await;
    let mut tenant = world.tenant(story.organization).await;
    for (text, expected) in [("ALVAREZ zoe", 1), ("a%z", 0), ("resident1@EXAMPLE", 1), ("", 2)] {
        let filter = resident::Filter { search: Some(text.into()), ..Default::default() };
        let found = resident::list(&mut tenant, &filter, &Paging::default()).await.expect("residents");
        assert_eq!(found.items.len(), expected, "{text}");
    }
}
