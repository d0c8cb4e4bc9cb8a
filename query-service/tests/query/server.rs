//! One database server for all tests of this program, and a fresh database for each.

use std::{
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use embedded_postgres::{Connection, Server, Settings};
use sqlx::{Connection as _, Executor, PgConnection};
use tokio::sync::OnceCell;

/// A server that ends with the process that started it.
pub struct Running {
    admin: Connection,
    server: Server,
    /// Its input closes when this process ends, however it ends: statics are not dropped.
    _watchdog: Child,
}

const WATCHDOG: &str = r#"
trap '' INT TERM
read -r _
kill -INT "$1"
tries=0
while kill -0 "$1" 2>/dev/null && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
rm -rf "$2" "$3"
"#;

impl Running {
    pub fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("propty-query-service-")
            .permissions(std::fs::Permissions::from_mode(0o711))
            .tempdir()
            .expect("a folder")
            .keep();
        let mut settings = Settings::from_environment(&folder);
        settings.parameters.push(("max_connections".into(), "300".into()));
        // A replica that was just copied finds what happened since.
        settings.parameters.push(("wal_keep_size".into(), "1GB".into()));
        let server = Server::start(&settings, &mut |_| {}).expect("a server");
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog", &server.pid().to_string()])
            .args([folder.as_path(), server.folder()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a watchdog");
        let admin = server.connect_options();
        Self { admin, server, _watchdog: watchdog }
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.server.pid()
    }

    /// A new database.
    pub async fn database(&self) -> Connection {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut connection = connect(&self.admin).await;
        connection.execute(&*format!("create database {name}")).await.expect("a database");
        Connection { database: name, ..self.admin.clone() }
    }
}

pub async fn connect(connection: &Connection) -> PgConnection {
    PgConnection::connect(&connection.url()).await.expect("a connection")
}

pub async fn server() -> &'static Running {
    static SERVER: OnceCell<Running> = OnceCell::const_new();
    SERVER.get_or_init(|| async { Running::start() }).await
}
