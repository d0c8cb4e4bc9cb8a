//! One run of an aggregate's consecutive events: appended at the expected revision, and reconciled when the server disagrees.

use std::time::Duration;

use event_store::follower::StoredEvent;
use eventstore::{
    AppendToStreamOptions, Client, Error, EventData, ExpectedRevision, ReadStreamOptions, StreamPosition,
};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    name::stream_name,
    record::{event_data, event_id},
};

/// The client gives a deadline to the server only, which may be gone.
const PATIENCE: Duration = Duration::from_secs(12);
/// Servers refuse an append of a megabyte.
const MOST_BYTES: usize = 400_000;
const MOST_EVENTS: usize = 200;

/// The other database holds something else than the log: nothing is appended any more until a person has looked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Divergence {
    #[error(
        "{stream} holds another event at revision {revision}: {found} instead of {expected}; somebody else writes there, or the log was restored"
    )]
    Foreign { stream: String, revision: u64, expected: Uuid, found: Uuid },
    #[error(
        "{stream} ends before revision {revision}, which should have been there: another database, or events were deleted"
    )]
    Missing { stream: String, revision: u64 },
    #[error("{stream} was deleted over there")]
    Deleted { stream: String },
    #[error("{stream}: the server refuses: {reason}")]
    Refused { stream: String, reason: String },
    #[error("the event at position {position} of {stream} cannot be written: {reason}")]
    Unwritable { stream: String, position: i64, reason: String },
}

/// Why a run is not acknowledged.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Unknown whether it arrived: to be sent again, with the same ids.
    Again(String),
    Diverged(Divergence),
}

impl From<Divergence> for Trouble {
    fn from(divergence: Divergence) -> Self {
        Self::Diverged(divergence)
    }
}

/// Consecutive events of one stream.
#[derive(Debug)]
pub(crate) struct Run {
    pub stream: String,
    /// The revision of the first; ours count from 1, theirs from 0.
    first: u64,
    bytes: usize,
    ids: Vec<Uuid>,
    events: Vec<EventData>,
}

impl Run {
    pub fn new(event: &StoredEvent) -> Result<Self, Divergence> {
        let stream = stream_name(event.organization, &event.stream, &event.stream_id);
        let first = u64::try_from(event.version - 1).map_err(|error| unwritable(&stream, event, &error))?;
        let mut run = Self { stream, first, bytes: 0, ids: Vec::new(), events: Vec::new() };
        run.push(event)?;
        Ok(run)
    }

    fn push(&mut self, event: &StoredEvent) -> Result<(), Divergence> {
        let data = event_data(event).map_err(|error| unwritable(&self.stream, event, &error))?;
        self.bytes += event.payload.len() + 1000;
        self.ids.push(event_id(&event.leaf));
        self.events.push(data);
        Ok(())
    }

    /// Takes an event that follows in the same stream; `false` when it is another's, or there is no room.
    pub fn extend(&mut self, event: &StoredEvent) -> Result<bool, Divergence> {
        let follows = u64::try_from(event.version - 1) == Ok(self.end())
            && stream_name(event.organization, &event.stream, &event.stream_id) == self.stream;
        let room = self.events.len() < MOST_EVENTS && self.bytes + event.payload.len() < MOST_BYTES;
        if follows && room {
            self.push(event)?;
        }
        Ok(follows && room)
    }

    /// The revision after the last.
    fn end(&self) -> u64 {
        self.revision(self.events.len())
    }

    fn revision(&self, index: usize) -> u64 {
        self.first.saturating_add(u64::try_from(index).unwrap_or(u64::MAX))
    }

    /// Returns once the server holds these events at these revisions.
    pub async fn append(&self, client: &Client) -> Result<(), Trouble> {
        // How many of them the server has.
        let mut there = 0;
        loop {
            let expected = match self.revision(there) {
                0 => ExpectedRevision::NoStream,
                revision => ExpectedRevision::Exact(revision - 1),
            };
            let options = AppendToStreamOptions::default().expected_revision(expected).requires_leader(true);
            let missing = self.events.get(there..).unwrap_or_default().to_vec();
            match timeout(PATIENCE, client.append_to_stream(self.stream.as_str(), &options, missing)).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(Error::WrongExpectedVersion { .. })) => {}
                Ok(Err(error)) => return Err(self.trouble(error)),
                Err(_) => return Err(Trouble::Again("the server is silent".to_owned())),
            }
            let found = match timeout(PATIENCE, self.reconcile(client)).await {
                Ok(found) => found?,
                Err(_) => return Err(Trouble::Again("the server is silent".to_owned())),
            };
            if found == self.events.len() {
                return Ok(());
            }
            // It refuses although what is there fits: nothing lies between, unless somebody writes at this very moment.
            if found <= there {
                return Err(Divergence::Missing { stream: self.stream.clone(), revision: self.revision(found) }.into());
            }
            there = found;
        }
    }

    /// How many of the run's events the server holds; all that it holds there must be these.
    async fn reconcile(&self, client: &Client) -> Result<usize, Trouble> {
        let options = ReadStreamOptions::default()
            .forwards()
            .position(StreamPosition::Position(self.first))
            .max_count(self.events.len())
            .requires_leader(true);
        let mut found = 0;
        let mut read = match client.read_stream(self.stream.as_str(), &options).await {
            Ok(read) => read,
            Err(Error::ResourceNotFound) => return Ok(0),
            Err(error) => return Err(self.trouble(error)),
        };
        loop {
            let event = match read.next().await {
                Ok(Some(event)) => event,
                Ok(None) | Err(Error::ResourceNotFound) => return Ok(found),
                Err(error) => return Err(self.trouble(error)),
            };
            // A link whose event is gone has no event.
            let (revision, id) = event.event.map_or((self.first, Uuid::nil()), |event| (event.revision, event.id));
            let expected = self.ids.get(found).copied().unwrap_or_default();
            if revision != self.revision(found) || id != expected {
                let stream = self.stream.clone();
                return Err(Divergence::Foreign { stream, revision, expected, found: id }.into());
            }
            found += 1;
        }
    }

    fn trouble(&self, error: Error) -> Trouble {
        let stream = self.stream.clone();
        match error {
            Error::ResourceDeleted => Divergence::Deleted { stream }.into(),
            Error::AccessDenied | Error::UnsupportedFeature => {
                Divergence::Refused { stream, reason: error.to_string() }.into()
            }
            Error::Grpc { ref message, .. } if is_final(&error) => {
                Divergence::Refused { stream, reason: message.clone() }.into()
            }
            other => Trouble::Again(other.to_string()),
        }
    }
}

/// Whether sending the same again can only be answered the same.
fn is_final(error: &Error) -> bool {
    // By its name: the client does not hand on the crate that the code's type comes from.
    matches!(error, Error::Grpc { code, .. } if matches!(format!("{code:?}").as_str(), "InvalidArgument" | "OutOfRange"))
}

fn unwritable(stream: &str, event: &StoredEvent, reason: &dyn std::error::Error) -> Divergence {
    Divergence::Unwritable { stream: stream.to_owned(), position: event.position, reason: reason.to_string() }
}
