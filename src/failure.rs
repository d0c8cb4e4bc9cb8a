//! Why a command of the shell failed, told to the person at the shell.

use std::error::Error;

/// A failure with its causes.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Settings(#[from] crate::settings::SettingsError),
    #[error("the database cannot start")]
    Embedded(#[from] embedded_postgres::StartError),
    #[error("the database cannot be used")]
    Database(#[from] event_store::DatabaseError),
    #[error("the master key cannot be used")]
    MasterKey(#[from] event_store::master_key::MasterKeyError),
    #[error("personal data cannot be opened")]
    Key(#[from] event_store::keyring::KeyError),
    #[error("a query failed")]
    Query(#[from] sqlx::Error),
    #[error("read models cannot be prepared")]
    Projection(#[from] projections::apply::ApplyError),
    #[error("a command was not accepted")]
    Command(#[from] command_service::Fault),
    #[error("a provider's adapter cannot be built")]
    Provider(#[from] integrations::SettingsError),
    #[error("the sandbox cannot start")]
    Sandbox(#[from] sandbox::SandboxError),
    #[error("cannot use {path}")]
    File { path: String, source: std::io::Error },
    #[error("cannot listen on {address}; name another address in PROPTY_LISTEN")]
    Listen { address: String, source: std::io::Error },
    #[error("an answer could not be fetched")]
    Http(#[from] reqwest::Error),
    #[error("{0}")]
    Told(String),
}

impl Failure {
    /// The failure and everything that it follows from, on one line.
    pub fn explain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let told = error.to_string();
            if !text.ends_with(&told) {
                text = format!("{text}: {told}");
            }
            cause = error.source();
        }
        text
    }
}
