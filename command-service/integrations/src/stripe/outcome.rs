//! Brings Stripe's failures to done, refused, retry or unknown.

use std::time::Duration;

use events::payment::UnknownCause;
use processes::ports::{Outcome, Refused};
use serde::Deserialize;

use super::client::CallError;

/// How long to wait when Stripe does not say.
const AFTER_CONNECT_FAILURE: Duration = Duration::from_secs(5);
const AFTER_RATE_LIMIT: Duration = Duration::from_secs(2);
const AFTER_FAULT: Duration = Duration::from_secs(5);

/// What a lost answer may have left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing; it can be asked again at will.
    Read,
    Write,
}

/// The account's owner took our access away, or never gave it.
const ACCOUNT_UNAVAILABLE: &str = "account_unavailable";
const ACCOUNT_INVALID: &str = "account_invalid";
/// Stripe does not know our own key, or not any more: no account can be reached.
const PLATFORM_KEY_REFUSED: &str = "platform_key_refused";
/// The type of two very different errors: the key was used for another request, or its request is still running.
const IDEMPOTENCY_ERROR: &str = "idempotency_error";
const KEY_IN_USE: &str = "idempotency_key_in_use";

#[derive(Default, Deserialize)]
struct Envelope {
    #[serde(default)]
    error: ErrorBody,
}

/// The parts of an error that are codes. Its message stays unread: it can quote what was sent.
#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    decline_code: Option<String>,
    param: Option<String>,
}

pub(super) fn of<T>(effect: Effect, error: CallError, request_id: Option<&str>) -> Outcome<T> {
    let because = |why: &str| match request_id {
        Some(id) => format!("{why} (request {id})"),
        None => why.to_owned(),
    };
    let lost = |cause, why: String| match effect {
        Effect::Write => Outcome::Unknown { cause, why: because(&why) },
        Effect::Read => Outcome::Retry { after: AFTER_FAULT, why: because(&why) },
    };
    match error {
        CallError::NotSent(why) => Outcome::Retry { after: AFTER_CONNECT_FAILURE, why },
        CallError::TimedOut(why) | CallError::Broken(why) => lost(UnknownCause::TimedOut, why),
        CallError::Truncated(why) => lost(UnknownCause::Undecodable, why),
        // Also for a read: asking again would only bring the same unreadable object.
        CallError::Undecodable(why) => Outcome::Unknown { cause: UnknownCause::Undecodable, why: because(&why) },
        CallError::Rejected { status, retry_after, body } => {
            let error = serde_json::from_slice::<Envelope>(&body).unwrap_or_default().error;
            let refuse =
                |code: &str| Outcome::Refused(Refused { code: code.to_owned(), why: because(&error.words(status)) });
            match status {
                429 => Outcome::Retry {
                    after: retry_after.unwrap_or(AFTER_RATE_LIMIT),
                    why: because(&error.words(status)),
                },
                _ if error.kind.as_deref() == Some(IDEMPOTENCY_ERROR) && error.code.as_deref() != Some(KEY_IN_USE) => {
                    refuse(IDEMPOTENCY_ERROR)
                }
                409 => lost(UnknownCause::Conflict, error.words(status)),
                401 if error.code.as_deref() != Some(ACCOUNT_INVALID) => refuse(PLATFORM_KEY_REFUSED),
                401 | 403 => match error.code.as_deref() {
                    None | Some(ACCOUNT_INVALID) => refuse(ACCOUNT_UNAVAILABLE),
                    Some(code) => refuse(code),
                },
                // A time-out between proxies (408) and a failed dependency (424) say nothing about our request.
                400..=499 if !matches!(status, 408 | 424) => {
                    let fallback = status.to_string();
                    refuse(error.code.as_deref().or(error.kind.as_deref()).unwrap_or(&fallback))
                }
                _ => lost(UnknownCause::ProviderError, error.words(status)),
            }
        }
    }
}

impl ErrorBody {
    /// `402 card_error card_declined insufficient_funds`.
    fn words(&self, status: u16) -> String {
        let mut words = status.to_string();
        for word in [&self.kind, &self.code, &self.decline_code, &self.param].into_iter().flatten() {
            words.push(' ');
            words.extend(word.chars().filter(char::is_ascii_graphic).take(64));
        }
        words
    }
}
