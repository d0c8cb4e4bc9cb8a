//! Why a command of the shell failed, told to the person at the shell.

/// A failure with its causes.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Settings(#[from] host::SettingsError),
    #[error(transparent)]
    Host(#[from] host::HostError),
    #[error("a query failed")]
    Query(#[from] sqlx::Error),
    #[error("read models cannot be prepared")]
    Projection(#[from] projections::apply::ApplyError),
    #[error("a command was not accepted")]
    Command(#[from] command_service::Fault),
    #[error("the log cannot be read or written")]
    Store(#[from] event_store::AppendError),
    #[error("the log cannot be audited")]
    Audit(#[from] event_store::audit::AuditError),
    #[error("no checkpoint could be made")]
    Checkpoint(#[from] event_store::checkpointer::CheckpointError),
    #[error("the bundle cannot be made")]
    Disclosure(#[from] event_store::disclosure::DisclosureError),
    #[error("the keys cannot be used")]
    Key(#[from] event_store::keyring::KeyError),
    #[error("the providers cannot be reached as configured")]
    Provider(#[from] command_service::providers::ProvidersError),
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
        host::explain(self)
    }
}
