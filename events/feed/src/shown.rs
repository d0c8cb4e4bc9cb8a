//! An event as readers get it, written once for all of them.

use std::{collections::HashMap, sync::OnceLock};

use events::OrganizationId;
use public_events::Declared;
use uuid::Uuid;

/// Properties of streams that are remembered; past it the memory starts over.
const REMEMBERED: usize = 100_000;

/// A public event, ready to be sent.
#[derive(Debug)]
pub struct Shown {
    pub position: i64,
    /// The beginning of the event's leaf of the Merkle tree.
    pub leaf: [u8; 8],
    pub declared: &'static Declared,
    pub stream: &'static str,
    pub stream_id: Uuid,
    pub property: Option<Uuid>,
    /// For residents: the properties that they had moved into by then.
    pub homes: Vec<Uuid>,
    /// The `CloudEvent` as JSON on one line.
    pub line: Vec<u8>,
}

impl Shown {
    /// The `CloudEvent`'s id.
    pub fn id(&self) -> String {
        format!("{}-{:016x}", self.position, u64::from_be_bytes(self.leaf))
    }

    /// Whether readers of a property get it. It does not depend on when they ask.
    pub fn reaches(&self, property: Uuid) -> bool {
        self.property == Some(property) || self.homes.contains(&property)
    }
}

/// The name of a told stream, for good.
pub fn stream(name: &str) -> Option<&'static str> {
    static STREAMS: OnceLock<Vec<&'static str>> = OnceLock::new();
    let streams = STREAMS.get_or_init(|| {
        let mut names: Vec<&'static str> = public_events::types().map(|(stream, _)| stream).collect();
        names.dedup();
        names
    });
    streams.iter().find(|known| **known == name).copied()
}

/// To which property streams belong whose first event says so; that never changes.
#[derive(Debug, Default)]
pub struct Openings(HashMap<(OrganizationId, &'static str, Uuid), Home>);

/// The property that a stream belongs to, if it belongs to one.
#[derive(Debug, Clone, Copy)]
pub struct Home(pub Option<Uuid>);

impl Openings {
    pub fn of(&self, organization: OrganizationId, stream: &'static str, id: Uuid) -> Option<Home> {
        self.0.get(&(organization, stream, id)).copied()
    }

    pub fn remember(&mut self, organization: OrganizationId, stream: &'static str, id: Uuid, property: Option<Uuid>) {
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        self.0.insert((organization, stream, id), Home(property));
    }
}
