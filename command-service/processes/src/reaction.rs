//! What a process is: for each event, the steps that follow from it.

use chrono::TimeDelta;
use domain::Command;
use events::{Decode, Recorded};
use serde_json::Value;

use crate::Effect;

/// Something that follows from an event. Its key is (process, event, number of the step), so it happens once.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Command {
        name: &'static str,
        body: Value,
        /// Asked for instead when the first is refused.
        otherwise: Option<(&'static str, Value)>,
    },
    Effect {
        effect: Effect,
        /// Business time to wait first.
        after: TimeDelta,
    },
}

impl Step {
    pub fn command<C: Command>(command: &C) -> Result<Self, serde_json::Error> {
        Ok(Self::Command { name: C::NAME, body: serde_json::to_value(command)?, otherwise: None })
    }

    /// A command, and another for when it is refused.
    pub fn command_or<C: Command, D: Command>(command: &C, otherwise: &D) -> Result<Self, serde_json::Error> {
        Ok(Self::Command {
            name: C::NAME,
            body: serde_json::to_value(command)?,
            otherwise: Some((D::NAME, serde_json::to_value(otherwise)?)),
        })
    }

    pub const fn effect(effect: Effect) -> Self {
        Self::Effect { effect, after: TimeDelta::zero() }
    }
}

/// Why a process could not react.
#[derive(Debug, thiserror::Error)]
pub enum ReactionError {
    #[error(transparent)]
    Decode(#[from] Decode),
    #[error("a step could not be written as JSON")]
    Encode(#[from] serde_json::Error),
}

/// The steps that follow from an event.
pub type Reaction = Result<Vec<Step>, ReactionError>;

/// A process manager: pure, so that the same event always leads to the same steps.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    /// Part of the keys of its steps: never changed.
    pub name: &'static str,
    pub react: fn(&Recorded) -> Reaction,
}

/// Every process; a new one adds its line and starts at the head of the log.
pub const fn processes() -> &'static [Process] {
    &[
        Process { name: "payments", react: crate::payments::react },
        Process { name: "letters", react: crate::letters::react },
        Process { name: "bounces", react: crate::bounces::react },
        Process { name: "accounts", react: crate::accounts::react },
        Process { name: "jobs", react: crate::jobs::react },
        Process { name: "erasure", react: crate::erasure::react },
        Process { name: "autopay", react: crate::autopay::react },
        Process { name: "reminders", react: crate::reminders::react },
        Process { name: "credits", react: crate::credits::react },
        Process { name: "texts", react: crate::texts::react },
        Process { name: "webhooks", react: crate::webhooks::react },
    ]
}
