//! Why a command was not accepted, in the words of HTTP only at the very end.

use domain::Kind;
use edge::Problem;
use event_store::{AppendError, keyring::KeyError, store::LoadError};
use serde_json::json;

/// A command that was not accepted. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("there is no command of this name")]
    UnknownCommand,
    #[error("{message} (at {path})")]
    Body { path: String, message: String },
    #[error("{message}")]
    Refused { kind: Kind, code: &'static str, message: String },
    /// Not there, or not the caller's.
    #[error("there is no such thing")]
    Missing,
    #[error("the role is not admitted")]
    Role { admitted: Vec<&'static str> },
    #[error("the stream is at version {current}")]
    Stale { current: i64 },
    #[error("the idempotency key was used with another body")]
    KeyReused,
    #[error("too much contention; try again")]
    Contention,
    /// Of workers only.
    #[error("another worker has taken the task over")]
    TakenOver,
    #[error("the list of erasures {path} cannot be written")]
    List { path: String, source: std::io::Error },
    #[error(transparent)]
    Store(#[from] AppendError),
    #[error(transparent)]
    Load(LoadError),
}

impl From<LoadError> for Fault {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Store(AppendError::Foreign) => Self::Missing,
            other => Self::Load(other),
        }
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<KeyError> for Fault {
    fn from(error: KeyError) -> Self {
        Self::Store(error.into())
    }
}

impl Fault {
    /// Whether asking again would give the same answer.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::UnknownCommand
            | Self::Body { .. }
            | Self::Refused { .. }
            | Self::Missing
            | Self::Role { .. }
            | Self::Stale { .. }
            | Self::KeyReused => true,
            Self::Contention | Self::TakenOver | Self::List { .. } | Self::Store(_) | Self::Load(_) => false,
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::UnknownCommand => Self::missing("there is no command of this name; see /openapi.json"),
            Fault::Body { path, message } => Self::invalid("invalid-command", message).with("at", json!(path)),
            Fault::Refused { kind, code, message } => match kind {
                Kind::Missing => Self::missing(&message).with("code", json!(code)),
                Kind::Conflict => Self::conflict(code, message),
                Kind::Invalid => Self::invalid(code, message),
                Kind::Forbidden => Self::forbidden(message),
            },
            Fault::Missing => Self::missing("there is no such thing"),
            Fault::Role { admitted } => Self::forbidden(format!("this is for {}", admitted.join(", "))),
            Fault::Stale { current } => Self::stale(current),
            Fault::KeyReused => {
                Self::invalid("idempotency-key-reused", "this Idempotency-Key came with another body; use a new key")
            }
            Fault::Contention | Fault::TakenOver => {
                Self::conflict("contention", "others are changing the same thing; try again")
            }
            Fault::Store(AppendError::Database(error) | AppendError::Retryable(error)) => error.into(),
            Fault::Store(error) => Self::internal(&error),
            error @ Fault::List { .. } => Self::internal(&error),
            Fault::Load(error) => Self::internal(&error),
        }
    }
}
