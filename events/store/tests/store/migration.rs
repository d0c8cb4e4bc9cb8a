//! Bringing a database to the program's schema.

use event_store::Database;

use crate::{
    server::{Running, connect, server},
    world::World,
};

#[tokio::test]
async fn migrations_run_again_without_effect() {
    let world = World::new().await;
    let before = world.count("select count(*) from _sqlx_migrations").await;
    let neighbour = world.neighbour().await;
    assert_eq!(neighbour.count("select count(*) from _sqlx_migrations where success").await, before);
    assert_eq!(world.count("select count(*) from pg_roles where rolname like 'propty\\_%'").await, 3);
    assert_eq!(world.count("select count(*) from pg_roles where rolname like 'propty\\_%' and rolcanlogin").await, 0);
}

#[tokio::test]
async fn concurrent_starts_wait_for_each_other() {
    let (_, deployer) = server().await.database().await;
    let url = deployer.url();
    let (one, two, three, four) = tokio::join!(
        Database::connect(&url),
        Database::connect(&url),
        Database::connect(&url),
        Database::connect(&url)
    );
    for database in [one, two, three, four] {
        let database = database.expect("a database");
        let head: i64 = event_store::positions::head(&database.engine).await.expect("a head");
        assert_eq!(head, 0);
    }
}

/// Roles belong to the server, so only a fresh one shows the race.
#[tokio::test(flavor = "multi_thread")]
async fn several_databases_of_a_new_server_can_be_migrated_at_once() {
    let server = Running::start().await;
    start_several(&server).await;
    // The roles are there now, and the right to take them on is given anew.
    let revoke = "revoke propty_owner, propty_engine, propty_query from deployer";
    sqlx::query(revoke).execute(&mut connect(&server.deployer).await).await.expect("revoked roles");
    start_several(&server).await;
}

async fn start_several(server: &Running) {
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (_, deployer) = server.database().await;
        starts.spawn(async move { Database::connect(&deployer.url()).await });
    }
    for database in starts.join_all().await {
        let database = database.expect("a database");
        assert_eq!(role(&database.engine).await, "propty_engine");
        assert_eq!(role(&database.query).await, "propty_query");
        database.close().await;
    }
}

#[tokio::test]
async fn a_connection_made_anew_takes_its_role_again() {
    let world = World::new().await;
    let pool = &world.database.query;
    let mut connection = pool.acquire().await.expect("a connection");
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *connection).await.expect("a process");
    sqlx::query("select pg_terminate_backend($1)")
        .bind(pid)
        .execute(&mut world.superuser().await)
        .await
        .expect("an end");
    assert!(sqlx::query("select 1").execute(&mut *connection).await.is_err());
    drop(connection);
    assert_eq!(role(pool).await, "propty_query");
}

#[tokio::test]
async fn the_superuser_can_run_the_program_too() {
    let (admin, _) = server().await.database().await;
    let database = Database::connect(&admin.url()).await.expect("a database");
    assert_eq!(role(&database.engine).await, "propty_engine");
    let mut connection = connect(&admin).await;
    let owner: String = sqlx::query_scalar("select tableowner::text from pg_tables where schemaname = 'vault'")
        .fetch_one(&mut connection)
        .await
        .expect("an owner");
    assert_eq!(owner, "propty_owner");
}

async fn role(pool: &sqlx::PgPool) -> String {
    sqlx::query_scalar("select current_user::text").fetch_one(pool).await.expect("a role")
}
