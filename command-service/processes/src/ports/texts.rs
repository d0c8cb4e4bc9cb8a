//! Texts as processes speak of them: what is handed over, what came of it, what an error means.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::Outcome;

/// A text as it is frozen before it is handed over.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OutgoingText {
    /// E.164.
    pub to: String,
    /// It has the short reference in it, by which a text is found again whose answer was lost.
    pub body: String,
    pub short_reference: String,
    pub organization: Uuid,
    /// Our text's id: a part of the callback's address.
    pub reference: Uuid,
    /// Seconds after which the provider gives up what it has not handed on: the permitted hours end then.
    pub valid_for: u32,
}

impl std::fmt::Debug for OutgoingText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutgoingText").field("reference", &self.reference).finish_non_exhaustive()
    }
}

/// A text as the provider tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextSnapshot {
    /// `SM…`.
    pub id: String,
    pub status: TextStatus,
    /// The provider's code of what went wrong.
    pub error: Option<u32>,
    /// Parts, where the provider has counted them.
    pub segments: Option<u32>,
}

/// How far a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextStatus {
    /// The provider has it and has not handed it on.
    Accepted,
    /// A carrier has it.
    Sent,
    Delivered,
    /// A carrier could not bring it.
    Undelivered,
    /// It never left the provider.
    Failed,
    /// A status of a later version of the provider's API.
    Unrecognized,
}

/// What a provider's error code asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextProblem {
    /// The recipient opted out at the provider: consent is withdrawn.
    Blocked,
    /// The handset or carrier could not be reached: another try later, a bounded number of times.
    Passing,
    /// Nothing can be brought to this number.
    Undeliverable,
    /// A carrier filtered it: a person is alerted, and it is not tried again.
    Filtered,
    /// The sender is not registered or may not send: it is halted until a person has seen to it.
    SenderHalted,
    /// The provider or a carrier is at its limit: wait and ask again.
    BackOff,
    /// Its time ran out before it was handed on.
    Expired,
    /// Anything else is final for this text.
    Other,
}

/// A way to send texts.
#[async_trait]
pub trait Texts: Send + Sync + std::fmt::Debug {
    /// `twilio`.
    fn name(&self) -> &'static str;
    /// Whom texts come from, for pacing and halting: one sender may serve several organizations.
    fn sender(&self) -> &str;
    /// Hands one text over. There are no idempotency keys: what is unknown is looked up, never sent again.
    async fn send(&self, text: &OutgoingText) -> Outcome<TextSnapshot>;
    /// Looks for a text by its recipient and the short reference in its body. A repeat is harmless; not finding it proves nothing
    /// for a while.
    async fn find(&self, to: &str, short_reference: &str) -> Outcome<Option<TextSnapshot>>;
    /// A text as it is now.
    async fn text(&self, id: &str) -> Outcome<TextSnapshot>;
    /// For how long a text that is not found may yet appear.
    fn appears_within(&self) -> Duration;
}
