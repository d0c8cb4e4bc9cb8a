//! Reading a replica: a second PostgreSQL that streams from the first, as late as it happens to be.

use std::{
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use embedded_postgres::Connection;
use event_store::{Database, DatabaseError};
use events::Role;
use futures_util::StreamExt;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor};
use tokio::time::{Instant, timeout};

use crate::{
    community::{ORGANIZATION, UNIT},
    server::{connect, server},
    world::{Reader, World},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A streaming replica of the tests' server. It ends with this, and with the process of the tests however that ends.
struct Replica {
    program: PathBuf,
    folder: PathBuf,
    /// Whose the files are: PostgreSQL does not run as root.
    account: (u32, u32),
    running: Option<Child>,
    /// Its input closes when this process ends.
    _watchdog: Child,
}

const WATCHDOG: &str = r#"
trap '' INT TERM
read -r _
[ -f "$1/data/postmaster.pid" ] && kill -9 "$(head -n 1 "$1/data/postmaster.pid")" 2>/dev/null
sleep 0.2
rm -rf "$1"
"#;

impl Replica {
    /// Copies the server and follows it.
    async fn of(primary: &Connection, pid: i32) -> Self {
        let owner = std::fs::metadata(format!("/proc/{pid}")).expect("the server's process");
        let account = (owner.uid(), owner.gid());
        let folder = tempfile::Builder::new()
            .prefix("propty-replica-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir()
            .expect("a folder")
            .keep();
        chown(&folder, Some(account.0), Some(account.1)).expect("an owner");
        let programs = std::fs::read_link(format!("/proc/{pid}/exe")).expect("the server's program");
        let programs = programs.parent().expect("a folder").to_owned();
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a watchdog");
        let mut replica =
            Self { program: programs.join("postgres"), folder, account, running: None, _watchdog: watchdog };
        let copied = replica
            .command(&programs.join("pg_basebackup"))
            .arg("-h")
            .arg(&primary.socket_dir)
            .args([
                "-p",
                &primary.port.to_string(),
                "-U",
                &primary.user,
                "-w",
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
                "-D",
            ])
            .arg(replica.folder.join("data"))
            .env("PGPASSWORD", &primary.password)
            .output()
            .expect("pg_basebackup runs");
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        replica.start(primary).await;
        replica
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).stdin(Stdio::null()).env("LC_ALL", "C").env("TZ", "UTC");
        let ourselves = std::fs::metadata("/proc/self").expect("ourselves").uid();
        if ourselves != self.account.0 {
            command.uid(self.account.0).gid(self.account.1);
        }
        command
    }

    async fn start(&mut self, primary: &Connection) {
        let running = self
            .command(&self.program)
            .arg("-D")
            .arg(self.folder.join("data"))
            .args(["-c", "listen_addresses=", "-c", "port=5432", "-c", "max_connections=300", "-c", "hot_standby=on"])
            .arg("-c")
            .arg(format!("unix_socket_directories={}", self.folder.display()))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.folder.join("log")).expect("a log"))
            .spawn()
            .expect("a replica");
        self.running = Some(running);
        let address = self.address(primary).url();
        let answers = async {
            while sqlx::PgConnection::connect(&address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(timeout(PATIENCE, answers).await.is_ok(), "{}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Ends it as a crash would.
    fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = Command::new("kill").args(["-QUIT", &running.id().to_string()]).status();
            let _ = running.wait();
        }
    }

    /// The superuser's way into it.
    fn address(&self, primary: &Connection) -> Connection {
        Connection { socket_dir: self.folder.clone(), port: 5432, ..primary.clone() }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// An organization with a unit and a manager, read through a replica that is up to date.
async fn replicated() -> (World, Replica, Connection) {
    let server = server().await;
    let connection = server.database().await;
    let database = Database::connect(&connection.url()).await.expect("a database");
    let replica = Replica::of(&connection, server.pid()).await;
    let database = database.reading_from(&replica.address(&connection).url()).await.expect("a replica");
    let world = World::behind(connection.clone(), database).await;
    let registered = json!({ "OrganizationRegistered": { "name": "Example Management" } });
    world.append::<events::OrganizationEvent>(ORGANIZATION, ORGANIZATION, 0, &[registered]).await;
    world.token(ORGANIZATION, 0x800, "manager", Role::OrganizationManager, None).await;
    world.settle().await;
    let arrived = timeout(PATIENCE, arrives(&world)).await;
    assert!(arrived.is_ok(), "the replica does not catch up: {}", replica.log());
    (world, replica, connection)
}

async fn units(world: &World, headers: &[(&str, &str)]) -> crate::world::Answer {
    world.get_with("manager", "/v1/units", headers).await
}

/// One more event of the organization, ordered and projected on the primary; the position that it has.
async fn happen(world: &World, id: u128) -> i64 {
    world.token(ORGANIZATION, id, &format!("token {id}"), Role::OrganizationManager, None).await;
    world.settle().await;
    sqlx::query_scalar("select position from log.heads").fetch_one(&world.database.engine).await.expect("a head")
}

/// Waits until the replica shows everything.
async fn arrives(world: &World) {
    let head: i64 =
        sqlx::query_scalar("select position from log.heads").fetch_one(&world.database.engine).await.expect("a head");
    let deadline = Instant::now() + PATIENCE * 2;
    loop {
        let answer = units(world, &[("Propty-Min-Position", &head.to_string())]).await;
        if answer.status == 200 {
            return;
        }
        assert!(Instant::now() < deadline, "the replica does not catch up: {}", answer.text);
    }
}

async fn replay(replica: &Replica, primary: &Connection, what: &str) {
    let mut connection = connect(&replica.address(primary)).await;
    connection.execute(&*format!("select pg_wal_replay_{what}()")).await.expect("a superuser's wish");
    if what == "pause" {
        let paused = async {
            while !sqlx::query_scalar::<_, bool>("select pg_get_wal_replay_pause_state() = 'paused'")
                .fetch_one(&mut connection)
                .await
                .expect("a state")
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(timeout(PATIENCE, paused).await.is_ok());
    }
}

/// Reads on until something was said.
async fn heard(reader: &mut Reader, what: &str) {
    let said = async {
        while !reader.text.contains(what) {
            let piece = reader.body.next().await.expect("no end").expect("no error");
            reader.text.push_str(&String::from_utf8_lossy(&piece));
        }
    };
    assert!(timeout(PATIENCE, said).await.is_ok(), "not heard: {what}");
}

async fn events_page(world: &World, query: &str) -> crate::world::Answer {
    world.get("manager", &format!("/v1/events{query}")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_from_a_replica_say_how_old_they_are_and_wait_or_refuse_when_that_is_too_old() {
    let (world, replica, primary) = replicated().await;
    let before = units(&world, &[]).await.json();
    let as_of = before["meta"]["position"].as_i64().expect("a position");
    assert_eq!((&before["meta"]["head"], &before["meta"]["lag"]), (&json!(as_of), &json!(0)));
    let told = events_page(&world, "").await.json();

    replay(&replica, &primary, "pause").await;
    let head = happen(&world, 0x801).await;
    assert!(head > as_of);
    let paused = units(&world, &[]).await;
    assert_eq!(paused.header("propty-position"), as_of.to_string(), "nothing is shown that is not there");
    // The primary's head becomes known a moment after it moved.
    let lag = async { while units(&world, &[]).await.json()["meta"]["lag"] != json!(head - as_of) {} };
    assert!(timeout(PATIENCE, lag).await.is_ok(), "the lag counts what the replica lacks");
    let min_position = head.to_string();
    let refused = units(&world, &[("Propty-Min-Position", &min_position)]).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    let problem = refused.json();
    assert_eq!((&problem["position"], &problem["head"]), (&json!(as_of), &json!(head)));
    let same = events_page(&world, "").await.json();
    assert_eq!(same["events"], told["events"], "the feed ends where the replica ends");
    // A position from the primary is not gone: it comes.
    let ahead = events_page(&world, &format!("?after={head}")).await;
    assert_eq!((ahead.status, ahead.header("retry-after")), (503, "1"), "{}", ahead.text);
    assert_eq!(events_page(&world, &format!("?after={}", head + 1)).await.status, 410, "that nobody has");
    // Who may ask is looked up where it is certain.
    assert_eq!(world.get(&format!("token {}", 0x801), "/v1/units").await.status, 200, "a token that the replica lacks");

    replay(&replica, &primary, "resume").await;
    arrives(&world).await;
    let after = units(&world, &[("Propty-Min-Position", &min_position)]).await;
    assert_eq!((after.status, after.header("propty-position")), (200, &*min_position));
    assert_eq!(events_page(&world, &format!("?after={head}")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_stream_from_a_replica_goes_on_when_the_replica_does() {
    let (world, replica, primary) = replicated().await;
    let mut reader = world.reader("manager", "/v1/events/stream?after=head", &[]).await;
    assert_eq!(reader.status, 200);
    heard(&mut reader, "retry").await;
    replay(&replica, &primary, "pause").await;
    let unit = json!({ "UnitAdded": { "property_id": uuid::Uuid::from_u128(0x10), "label": "1A" } });
    world.append::<events::UnitEvent>(ORGANIZATION, UNIT, 0, &[unit]).await;
    world.settle().await;
    replay(&replica, &primary, "resume").await;
    heard(&mut reader, "data:").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_through_a_replica_not_even_when_it_was_promoted() {
    let (world, replica, primary) = replicated().await;
    for promoted in [false, true] {
        if promoted {
            let mut superuser = connect(&replica.address(&primary)).await;
            superuser.execute("select pg_promote()").await.expect("a promotion");
        }
        for (pool, statement) in [
            (&world.database.query, "update engine.clock set offset_seconds = 1"),
            (&world.database.heads, "update engine.clock set offset_seconds = 1"),
            (&world.database.heads, "create table public.anything ()"),
        ] {
            let error = pool.execute(statement).await.expect_err("refused");
            let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code).map(String::from);
            assert!(matches!(code.as_deref(), Some("25006" | "42501")), "{statement}: {error}");
        }
        let recovering: bool =
            sqlx::query_scalar("select pg_is_in_recovery()").fetch_one(&world.database.query).await.expect("an answer");
        assert_eq!(recovering, !promoted, "it is the replica that is asked");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_replica_reading_is_refused_and_everything_else_goes_on() {
    let (world, mut replica, primary) = replicated().await;
    replica.kill();
    let refused = units(&world, &[]).await;
    assert_eq!(refused.status, 503, "{}", refused.text);
    let head = happen(&world, 0x801).await;
    replica.start(&primary).await;
    arrives(&world).await;
    assert_eq!(units(&world, &[]).await.header("propty-position"), head.to_string());
}

#[tokio::test]
async fn another_installations_database_is_no_replica() {
    let server = server().await;
    let (ours, theirs) = (server.database().await, server.database().await);
    let database = Database::connect(&ours.url()).await.expect("a database");
    Database::connect(&theirs.url()).await.expect("another");
    let refused = database.reading_from(&theirs.url()).await;
    assert!(matches!(refused, Err(DatabaseError::Foreign)), "{refused:?}");
    let value: Value = json!(refused.err().map(|error| error.to_string()));
    assert!(value.as_str().is_some_and(|told| told.contains("READ_DATABASE_URL")));
}
