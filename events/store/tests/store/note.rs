//! A small aggregate to store.

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use cqrs_es::{Aggregate, AggregateError, DomainEvent, EventEnvelope, EventStore, event_sink::EventSink};
use event_store::{CommandContext, Store};
use events::{Event, Purpose, Sealed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum NoteEvent {
    Written { text: String },
    Signed { by: Sealed<String> },
}

impl Event for NoteEvent {
    const STREAM: &'static str = "note";
    const NAMES: &'static [(&'static str, u32)] = &[("Written", 2), ("Signed", 1)];

    fn name(&self) -> &'static str {
        match self {
            Self::Written { .. } => "Written",
            Self::Signed { .. } => "Signed",
        }
    }

    fn version(&self) -> u32 {
        match self {
            Self::Written { .. } => 2,
            Self::Signed { .. } => 1,
        }
    }
}

impl DomainEvent for NoteEvent {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        self.version().to_string()
    }
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    pub lines: Vec<String>,
    pub signatures: Vec<Option<String>>,
}

impl Aggregate for Note {
    const TYPE: &'static str = NoteEvent::STREAM;
    type Command = ();
    type Event = NoteEvent;
    type Error = Infallible;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &EventSink<Self>) -> Result<(), Infallible> {
        Ok(())
    }

    fn apply(&mut self, event: NoteEvent) {
        match event {
            NoteEvent::Written { text } => self.lines.push(text),
            NoteEvent::Signed { by } => self.signatures.push(by.into_value()),
        }
    }
}

pub type Failure = AggregateError<Infallible>;

pub fn written(text: impl Into<String>) -> NoteEvent {
    NoteEvent::Written { text: text.into() }
}

pub fn signed(subject: Uuid, purpose: Purpose, name: &str) -> NoteEvent {
    NoteEvent::Signed { by: Sealed::new(subject, purpose, name.to_owned()) }
}

/// Loads the note and adds to it.
pub async fn add(
    store: &Store,
    context: &CommandContext,
    id: Uuid,
    events: Vec<NoteEvent>,
) -> Result<Vec<EventEnvelope<Note>>, Failure> {
    let scoped = store.scoped(context);
    let loaded = EventStore::<Note>::load_aggregate(&scoped, &id.to_string()).await?;
    scoped.commit(events, loaded, HashMap::new()).await
}

pub async fn read(store: &Store, context: &CommandContext, id: Uuid) -> Result<Note, Failure> {
    let loaded = EventStore::<Note>::load_aggregate(&store.scoped(context), &id.to_string()).await?;
    Ok(loaded.aggregate)
}

/// The same, by so many callers at once that they are read to together.
pub async fn read_in_company(store: &Arc<Store>, context: &CommandContext, id: Uuid) -> Vec<Note> {
    let mut readers = JoinSet::new();
    for _ in 0..20 {
        let (store, context) = (store.clone(), context.clone());
        readers.spawn(async move { read(&store, &context, id).await.expect("a note") });
    }
    readers.join_all().await
}

/// What an unexpected error was.
pub fn cause<E: std::error::Error + 'static, T: std::fmt::Debug>(result: Result<T, Failure>) -> E {
    match result {
        Err(AggregateError::UnexpectedError(error)) => *error.downcast().expect("an error of this kind"),
        other => panic!("expected an unexpected error, got {other:?}"),
    }
}
