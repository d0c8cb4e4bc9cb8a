//! Jobs: each item once, each result told, wherever the worker dies.

use domain::{Invoice, Job, invoice::Phase};
use serde_json::json;
use uuid::Uuid;

use crate::{
    proofs::{repeats_change_nothing, survives_death_at_every_point},
    world::{PROPERTY, World},
};

#[tokio::test]
async fn each_item_of_a_job_is_done_once_wherever_the_worker_dies() {
    let world = World::new().await;
    world.community().await;
    let prepare = async || {
        let drafts = [world.draft().await, world.draft().await, Uuid::now_v7()];
        let job = Uuid::now_v7();
        let body = json!({ "job_id": job, "property_id": PROPERTY, "invoices": drafts, "notify": false });
        world.manage("PublishInvoices", body).await;
        world.react().await;
        job
    };
    survives_death_at_every_point(&world, prepare, async |job| {
        let state: Job = world.state(job).await;
        assert!(state.completed);
        assert_eq!(state.done, 3);
        assert_eq!(world.history(job).await, ["JobStarted", "JobProgressed", "JobCompleted"]);
    })
    .await;
    let published = "select count(*) from log.events where event_type = 'InvoicePublished'";
    let jobs = world.count("select count(*) from log.events where event_type = 'JobCompleted'").await;
    assert_eq!(world.count(published).await, 2 * jobs);
    repeats_change_nothing(&world).await;
}

#[tokio::test]
async fn a_job_reaches_only_the_property_that_it_was_started_for() {
    let world = World::new().await;
    world.community().await;
    let draft = world.draft().await;
    let other = Uuid::now_v7();
    world.manage("AddProperty", world.body("AddProperty", json!({ "property_id": other }))).await;
    let body = json!({ "job_id": Uuid::now_v7(), "property_id": other, "invoices": [draft] });
    world.manage("PublishInvoices", body).await;
    world.settle().await;
    assert_eq!(world.state::<Invoice>(draft).await.phase, Phase::Draft);
}
