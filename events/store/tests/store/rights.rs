//! What each database role may do, and what nobody may.

use event_store::transaction;
use sqlx::{Executor, PgConnection};

use crate::{
    note::{add, written},
    world::{World, context, organization},
};

const REFUSED: &str = "42501";

async fn refusal(connection: &mut PgConnection, statement: &str) -> String {
    let error = connection.execute(statement).await.expect_err(statement);
    let error = error.as_database_error().expect("an answer of the database");
    format!("{} {}", error.code().unwrap_or_default(), error.message())
}

async fn with_a_note() -> (World, events::OrganizationId) {
    let world = World::new().await;
    let organization = organization();
    add(&world.store, &context(organization), uuid::Uuid::now_v7(), vec![written("kept")]).await.expect("an event");
    world.drain().await;
    (world, organization)
}

#[tokio::test]
async fn the_engine_cannot_change_what_happened() {
    let (world, _) = with_a_note().await;
    let mut engine = world.pool().acquire().await.expect("a connection");
    for table in ["log.events", "log.entries", "log.checkpoints", "log.tiles"] {
        for statement in [
            format!("update {table} set organization_id = gen_random_uuid()"),
            format!("delete from {table}"),
            format!("truncate {table}"),
            format!("alter table {table} disable trigger all"),
            format!("drop table {table}"),
        ] {
            assert!(refusal(&mut engine, &statement).await.starts_with(REFUSED), "{statement}");
        }
    }
    for statement in [
        "insert into log.events_0 default values",
        "select from log.events_0",
        "delete from vault.data_keys",
        "delete from vault.signing_keys",
        "update vault.signing_keys set public_key = ''",
    ] {
        assert!(refusal(&mut engine, statement).await.starts_with(REFUSED), "{statement}");
    }
}

#[tokio::test]
async fn even_the_owner_is_refused() {
    let (world, _) = with_a_note().await;
    let mut owner = world.superuser().await;
    owner.execute("set role propty_owner").await.expect("the owner's role");
    for table in ["log.events", "log.entries", "log.events_0", "log.events_15", "log.checkpoints", "log.tiles"] {
        for statement in [
            format!("update {table} set organization_id = gen_random_uuid()"),
            format!("delete from {table}"),
            format!("truncate {table}"),
        ] {
            assert_eq!(
                refusal(&mut owner, &statement).await,
                format!("{REFUSED} events are append-only"),
                "{statement}"
            );
        }
    }
    assert_eq!(world.count("select count(*) from log.events").await, 1);
}

#[tokio::test]
async fn the_query_role_sees_one_organization_at_a_time() {
    let (world, organization) = with_a_note().await;
    let other = crate::world::organization();
    for text in ["one", "two"] {
        add(&world.store, &context(other), uuid::Uuid::now_v7(), vec![written(text)]).await.expect("an event");
    }
    world.drain().await;
    let checkpointer = crate::checkpoints::checkpointer(&world, None);
    crate::checkpoints::sign(&world, &checkpointer).await;
    let seen = async |of: Option<events::OrganizationId>| {
        let mut transaction = transaction::begin(&world.database.query).await.expect("a transaction");
        if let Some(of) = of {
            let set = format!("set local propty.organization = '{of}'");
            transaction.execute(&*set).await.expect("a setting");
        }
        let mut counts = Vec::new();
        for table in ["events", "entries", "heads", "checkpoints", "signing_keys"] {
            let query = format!("select count(*) from log.{table}");
            counts.push(sqlx::query_scalar::<_, i64>(&query).fetch_one(&mut *transaction).await.expect("a number"));
        }
        counts
    };
    assert_eq!(seen(None).await, [0, 0, 0, 0, 1]);
    assert_eq!(seen(Some(organization)).await, [1, 1, 1, 1, 1]);
    assert_eq!(seen(Some(other)).await, [2, 2, 1, 1, 1]);
    // The connections are used again, and the setting has ended with its transaction.
    for _ in 0..3 {
        assert_eq!(seen(None).await, [0, 0, 0, 0, 1]);
    }
}

#[tokio::test]
async fn the_query_role_can_neither_write_nor_look_behind() {
    let (world, _) = with_a_note().await;
    let mut query = world.database.query.acquire().await.expect("a connection");
    for statement in [
        "insert into log.events default values",
        "delete from log.entries",
        "select from log.events_0",
        "select from log.head",
        "select from log.pending",
        "select from log.idempotency",
        "select from vault.data_keys",
        "select from vault.signing_keys",
        "insert into log.checkpoints default values",
        "select from engine.outbox",
        "select from engine.webhooks",
        "update engine.clock set offset_seconds = 1",
        "create table read.mine ()",
    ] {
        assert!(refusal(&mut query, statement).await.starts_with(REFUSED), "{statement}");
    }
}
