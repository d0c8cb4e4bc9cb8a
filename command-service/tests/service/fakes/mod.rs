//! Stateful doubles of the providers: they honour keys, count what they really did, and fail as they are told.

pub mod mail;
pub mod stripe;
pub mod texts;

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use events::payment::UnknownCause;
use processes::ports::{Outcome, Refused};

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    Refused(&'static str),
    /// Surely nothing happened.
    Retry,
    /// No answer for as long as anybody waits.
    Hangs,
    /// No answer, and nothing happened.
    LostBefore,
    /// No answer, and it happened.
    LostAfter,
    PanicBefore,
    PanicAfter,
    /// A 500, which the provider gives again for every repeat; nothing happened.
    Failing,
}

/// Every way that a call can go wrong for a while.
pub const PASSING: [Trouble; 5] =
    [Trouble::Retry, Trouble::LostBefore, Trouble::LostAfter, Trouble::PanicBefore, Trouble::PanicAfter];

/// What is to go wrong next, by the call's name.
#[derive(Debug, Default)]
pub struct Script(Mutex<VecDeque<(&'static str, Trouble)>>);

impl Script {
    pub fn next(&self, call: &'static str, trouble: Trouble) {
        lock(&self.0).push_back((call, trouble));
    }

    /// Nothing goes wrong any more.
    pub fn forget(&self) {
        lock(&self.0).clear();
    }

    /// Whether all that was to go wrong has begun to.
    pub fn is_used_up(&self) -> bool {
        lock(&self.0).is_empty()
    }

    fn take(&self, call: &str) -> Option<Trouble> {
        let mut script = lock(&self.0);
        let at = script.iter().position(|(name, _)| *name == call)?;
        script.remove(at).map(|(_, trouble)| trouble)
    }

    /// A call: nothing has happened before the first await, everything before the second.
    pub async fn call<T>(&self, call: &str, act: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        tokio::task::yield_now().await;
        let trouble = self.take(call);
        match trouble {
            Some(Trouble::Refused(code)) => return refused(code),
            Some(Trouble::Retry) => return Outcome::Retry { after: Duration::ZERO, why: "busy".to_owned() },
            Some(Trouble::LostBefore) => return lost(),
            Some(Trouble::Failing) => {
                return Outcome::Unknown { cause: UnknownCause::ProviderError, why: "a 500".to_owned() };
            }
            Some(Trouble::Hangs) => std::future::pending().await,
            Some(Trouble::PanicBefore) => panic!("as told, before {call}"),
            Some(Trouble::LostAfter | Trouble::PanicAfter) | None => {}
        }
        let answer = act();
        tokio::task::yield_now().await;
        match trouble {
            Some(Trouble::LostAfter) => lost(),
            Some(Trouble::PanicAfter) => panic!("as told, after {call}"),
            _ => answer,
        }
    }
}

fn lost<T>() -> Outcome<T> {
    Outcome::Unknown { cause: UnknownCause::TimedOut, why: "timed out".to_owned() }
}

pub fn refused<T>(code: &str) -> Outcome<T> {
    Outcome::Refused(Refused { code: code.to_owned(), why: "as told".to_owned() })
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
