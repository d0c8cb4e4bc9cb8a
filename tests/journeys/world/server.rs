//! One database server for all journeys, and a fresh database for each; whatever is started ends with this process.

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU16, AtomicU32, Ordering},
    },
};

use embedded_postgres::{Connection, Server, Settings};
use sqlx::{Connection as _, Executor, PgConnection};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// A server that ends with the process that started it.
pub struct Running {
    /// The superuser's.
    admin: Connection,
    /// Those of somebody who may only make roles and databases, as on a managed server.
    deployer: Connection,
    _server: Server,
}

/// A new database: the superuser's and the deployer's way into it.
pub struct Fresh {
    pub admin: Connection,
    pub deployer: Connection,
}

/// Kills what it was told of when its input closes: statics are not dropped, and a killed test run drops nothing.
const WATCHDOG: &str = r#"
trap '' INT TERM
pids=''
while read -r sign pid; do
    case $sign in
        +) pids="$pids $pid" ;;
        -) left=''; for one in $pids; do [ "$one" = "$pid" ] || left="$left $one"; done; pids=$left ;;
    esac
done
[ -z "$pids" ] || kill -9 $pids 2>/dev/null
kill -INT "$1"
tries=0
while kill -0 "$1" 2>/dev/null && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
rm -rf "$2" "$3"
"#;

static WATCHED: Mutex<Option<(Child, ChildStdin)>> = Mutex::new(None);

/// Tells the watchdog of a process that must not outlive the tests (`+`), or that has ended (`-`).
pub fn watch(sign: char, pid: u32) {
    let mut watched = WATCHED.lock().expect("the watchdog");
    if let Some((_, input)) = watched.as_mut() {
        let _ = writeln!(input, "{sign} {pid}");
    }
}

impl Running {
    async fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("propty-journeys-")
            .permissions(std::fs::Permissions::from_mode(0o711))
            .tempdir()
            .expect("a folder")
            .keep();
        let mut settings = Settings::from_environment(&folder);
        settings.parameters.push(("max_connections".into(), "600".into()));
        // Journeys kill propty, never the server.
        settings.parameters.push(("fsync".into(), "off".into()));
        let server = Server::start(&settings, &mut |_| {}).expect("a server");
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog", &server.pid().to_string()])
            .args([folder.as_path(), server.folder()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a watchdog");
        let input = watchdog.stdin.take().expect("its input");
        *WATCHED.lock().expect("the watchdog") = Some((watchdog, input));
        let admin = server.connect_options();
        let password = Uuid::new_v4().to_string();
        connect(&admin)
            .await
            .execute(&*format!("create role deployer login createrole createdb password '{password}'"))
            .await
            .expect("a role");
        let deployer = Connection { user: "deployer".into(), password, ..admin.clone() };
        Self { admin, deployer, _server: server }
    }

    /// An empty database.
    pub async fn database(&self) -> Fresh {
        self.create("").await
    }

    /// A copy of a database that nobody is connected to.
    pub async fn copy(&self, template: &Fresh) -> Fresh {
        let fresh = self.create(&format!("template {}", template.admin.database)).await;
        // What is granted on the database itself is not copied.
        let grant = format!("grant create on database {} to propty_engine", fresh.admin.database);
        connect(&self.admin).await.execute(&*grant).await.expect("a grant");
        fresh
    }

    async fn create(&self, template: &str) -> Fresh {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("journey_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let create = format!("create database {name} owner deployer {template}");
        connect(&self.admin).await.execute(&*create).await.expect("a database");
        Fresh {
            admin: Connection { database: name.clone(), ..self.admin.clone() },
            deployer: Connection { database: name, ..self.deployer.clone() },
        }
    }
}

async fn connect(connection: &Connection) -> PgConnection {
    PgConnection::connect(&connection.url()).await.expect("a connection")
}

/// The server of this process.
pub async fn server() -> &'static Running {
    static SERVER: OnceCell<Running> = OnceCell::const_new();
    SERVER.get_or_init(Running::start).await
}

/// A port that is free now, below those that the system hands to outgoing connections: a restart finds it free again.
pub fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 20_000 + u16::try_from(std::process::id() % 100).expect("a small number") * 100;
    loop {
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
