//! How a client reaches the running server.

use std::{
    fmt::{self, Write as _},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

/// Everything a client needs to log in as the owner of the database.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    /// The directory of the Unix socket.
    pub socket_dir: PathBuf,
    /// Names the socket in its directory; no network port is open.
    pub port: u16,
    /// The superuser of the cluster.
    pub user: String,
    /// The generated SCRAM secret.
    pub password: String,
    /// The database made for Propty.
    pub database: String,
}

impl Connection {
    /// A URL that sqlx and libpq understand. It holds the password.
    ///
    /// The host `localhost` is only there because a URL with a user must have one; the parameter `host` overrides it.
    pub fn url(&self) -> String {
        format!(
            "postgres://{}:{}@localhost/{}?host={}&port={}",
            encoded(self.user.as_bytes()),
            encoded(self.password.as_bytes()),
            encoded(self.database.as_bytes()),
            encoded(self.socket_dir.as_os_str().as_bytes()),
            self.port
        )
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("socket_dir", &self.socket_dir)
            .field("port", &self.port)
            .field("user", &self.user)
            .field("password", &"redacted")
            .field("database", &self.database)
            .finish()
    }
}

fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        Connection {
            socket_dir: "/a b/ü".into(),
            port: 5432,
            user: "propty".into(),
            password: "p@ss/word".into(),
            database: "propty".into(),
        }
    }

    #[test]
    fn the_url_is_percent_encoded() {
        assert_eq!(
            connection().url(),
            "postgres://propty:p%40ss%2Fword@localhost/propty?host=%2Fa%20b%2F%C3%BC&port=5432"
        );
    }

    #[test]
    fn debug_does_not_show_the_password() {
        assert!(!format!("{:?}", connection()).contains("p@ss"));
    }
}
