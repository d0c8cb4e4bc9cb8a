//! What the double holds: streams, the order over all of them, and the failures that are wanted next.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use uuid::Uuid;

/// An event as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: Uuid,
    /// The protocol's own: `type` and `content-type`.
    pub kind: HashMap<String, String>,
    pub metadata: Vec<u8>,
    pub data: Vec<u8>,
}

/// How an append fails. Each is used up by one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `UNAVAILABLE`, and nothing is stored.
    Before,
    /// Stored, and then `UNAVAILABLE`.
    After,
    /// All connections break, and nothing is stored.
    CutBefore,
    /// Stored, and then all connections break.
    CutAfter,
    /// Stored, and never answered while the server lives.
    SilentAfter,
    /// Stored and answered, but late.
    Late(Duration),
}

/// The revision that an append expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Any,
    Exists,
    NoStream,
    Exact(u64),
}

/// Why nothing was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The revision that the stream is at.
    pub current: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Database {
    pub streams: BTreeMap<String, Vec<Event>>,
    /// Stream and revision in the order in which everything was stored.
    pub all: Vec<(String, u64)>,
    pub faults: VecDeque<Fault>,
    /// How many appends were asked for, whatever became of them.
    pub appends: u64,
}

impl Database {
    /// Stores at the expected revision; what lies there already under the same ids is a success again, as long as it is all of it.
    /// Returns the stream's revision after these events.
    pub fn append(&mut self, stream: &str, expected: Expected, events: &[Event]) -> Result<u64, Wrong> {
        let known = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        let current = len(known).checked_sub(1);
        let first = match expected {
            Expected::NoStream => 0,
            Expected::Exact(revision) => revision + 1,
            Expected::Any => known
                .iter()
                .position(|one| events.first().is_some_and(|new| new.id == one.id))
                .map_or(len(known), |index| index as u64),
            Expected::Exists if current.is_none() => return Err(Wrong { current }),
            Expected::Exists => len(known),
        };
        let last = (first + len(events)).saturating_sub(1);
        if first < len(known) {
            let there = known.get(usize::try_from(first).unwrap_or(usize::MAX)..).unwrap_or_default();
            let same = there.len() >= events.len() && there.iter().zip(events).all(|(one, other)| one.id == other.id);
            return if same { Ok(last) } else { Err(Wrong { current }) };
        }
        if first > len(known) {
            return Err(Wrong { current });
        }
        self.all.extend((first..).take(events.len()).map(|revision| (stream.to_owned(), revision)));
        self.streams.entry(stream.to_owned()).or_default().extend_from_slice(events);
        Ok(last)
    }
}

fn len(events: &[Event]) -> u64 {
    u64::try_from(events.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: u128) -> Event {
        Event { id: Uuid::from_u128(id), kind: HashMap::new(), metadata: Vec::new(), data: Vec::new() }
    }

    #[test]
    fn the_same_events_at_the_same_place_succeed_again_and_others_do_not() {
        let mut database = Database::default();
        let both = [event(1), event(2)];
        assert_eq!(database.append("a", Expected::NoStream, &both), Ok(1));
        assert_eq!(database.append("a", Expected::NoStream, &both), Ok(1));
        assert_eq!(database.append("a", Expected::Exact(0), &both[1..]), Ok(1));
        assert_eq!(database.append("a", Expected::NoStream, &[event(3)]), Err(Wrong { current: Some(1) }));
        assert_eq!(database.append("a", Expected::Exact(0), &[event(2), event(3)]), Err(Wrong { current: Some(1) }));
        assert_eq!(database.append("a", Expected::Exact(2), &[event(3)]), Err(Wrong { current: Some(1) }));
        assert_eq!(database.append("a", Expected::Exact(1), &[event(3)]), Ok(2));
        assert_eq!(database.append("b", Expected::Exists, &[event(4)]), Err(Wrong { current: None }));
        assert_eq!(database.append("b", Expected::Any, &[event(4)]), Ok(0));
        assert_eq!(database.append("b", Expected::Any, &[event(4)]), Ok(0));
        assert_eq!(database.all.len(), 4);
    }
}
