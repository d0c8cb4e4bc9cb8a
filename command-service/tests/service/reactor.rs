//! The reactor: the rows of each event once, from the head on, whatever cannot be understood.

use event_store::Subscription;
use futures_util::join;
use uuid::Uuid;

use crate::world::World;

async fn rows(world: &World) -> Vec<(String, String, String)> {
    sqlx::query_as("select key, name, body::text from engine.outbox order by key")
        .fetch_all(world.pool())
        .await
        .expect("rows")
}

/// As if no process had read anything yet.
async fn forget(world: &World) {
    world.sql("update engine.checkpoints set global_position = 0 where subscriber like 'process/%'").await;
}

#[tokio::test]
async fn an_event_yields_its_rows_once_however_often_it_is_read_and_by_whom() {
    let world = World::new().await;
    world.community().await;
    world.paid().await;
    let before = rows(&world).await;
    assert!(before.len() >= 7);
    for _ in 0..2 {
        forget(&world).await;
        assert!(world.reactor().catch_up().await.expect("reactions") > 10);
        assert_eq!(rows(&world).await, before);
    }
    forget(&world).await;
    let (one, other) = (world.reactor(), world.reactor());
    let (first, second) = join!(one.catch_up(), other.catch_up());
    first.and(second).expect("reactions");
    assert_eq!(rows(&world).await, before);
    let heads = "select count(distinct global_position) from engine.checkpoints where subscriber like 'process/%'";
    assert_eq!(world.count(heads).await, 1);
}

#[tokio::test]
async fn a_new_process_starts_at_the_head() {
    let world = World::new().await;
    world.community().await;
    let invoice = world.draft().await;
    world.publish(invoice, true).await;
    world.sequence().await;
    // As if the process of letters had only now been deployed.
    world.sql("delete from engine.checkpoints where subscriber = 'process/letters'").await;
    world.react().await;
    let letters = "select count(*) from engine.outbox where name = 'ComposeEmail'";
    assert_eq!(world.count(letters).await, 0, "history is not replayed into effects");
    let invoice = world.draft().await;
    world.publish(invoice, true).await;
    world.react().await;
    assert_eq!(world.count(letters).await, 1);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_leaves_a_row_for_a_person_and_the_rest_goes_on() {
    let world = World::new().await;
    world.community().await;
    let id = Uuid::now_v7();
    world
        .sql(&format!(
            "with strange as (
                 insert into log.events (organization_id, aggregate_type, aggregate_id, stream_key, sequence, event_type,
                                         event_version, payload, metadata, recorded_at)
                 select organization_id, 'invoice', '{id}', organization_id || '/{id}', 1, 'InvoiceExploded', '1',
                        '{{\"InvoiceExploded\":{{}}}}', metadata, recorded_at
                 from log.events limit 1 returning *
             )
             insert into log.pending (organization_id, aggregate_type, aggregate_id, sequence)
             select organization_id, aggregate_type, aggregate_id, sequence from strange"
        ))
        .await;
    let invoice = world.draft().await;
    world.publish(invoice, true).await;
    world.settle().await;
    assert_eq!(world.mail.times(world.message(invoice).await), 1);
    let unresolved = "select count(*) from engine.outbox where state = 'unresolved' and name = 'React'
                      and last_error like '%InvoiceExploded%'";
    let readers = "of payments, letters, texts, autopay, reminders and credits";
    assert_eq!(world.count(unresolved).await, 6, "{readers}");
    forget(&world).await;
    world.settle().await;
    assert_eq!(world.count(unresolved).await, 6, "{readers}");
}

#[tokio::test]
async fn rebuilding_read_models_writes_no_rows() {
    let world = World::new().await;
    world.community().await;
    world.paid().await;
    let (before, sent, made) = (rows(&world).await, world.mail.sent().len(), world.stripe.counts());
    for model in projections::model::models() {
        projections::rebuild::rebuild(world.store(), model.as_ref(), &mut |_| {}).await.expect("a rebuilt model");
    }
    world.settle().await;
    assert_eq!(rows(&world).await, before);
    assert_eq!((world.mail.sent().len(), world.stripe.counts()), (sent, made));
    assert!(Subscription::new("processes", world.store().clone()).page(0, 10).await.expect("a page").end > 0);
}
