//! What went wrong in one step of a conversation with an SMTP server.

use lettre::transport::smtp::Error;

/// Why a step did not succeed.
pub(super) enum Failure {
    /// The server said no.
    Reply {
        permanent: bool,
        code: String,
    },
    /// The server said something else than the step allows.
    Odd(String),
    TimedOut,
    Broken(String),
}

impl Failure {
    pub fn of(error: &Error) -> Self {
        match error.status() {
            Some(code) => Self::Reply { permanent: error.is_permanent(), code: code.to_string() },
            // The server's words stay unread: they quote addresses.
            None if error.is_response() => Self::Broken("the answer broke off or cannot be read".to_owned()),
            None if error.is_timeout() => Self::TimedOut,
            None => Self::Broken(error.to_string()),
        }
    }

    pub fn why(&self, doing: &str) -> String {
        match self {
            Self::Reply { code, .. } => format!("reply {code} while {doing}"),
            Self::Odd(why) | Self::Broken(why) => format!("{why} while {doing}"),
            Self::TimedOut => format!("time-out while {doing}"),
        }
    }
}
