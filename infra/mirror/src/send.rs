//! A page of the log on its way: one lane for each organization, in which order is kept; what is acknowledged is not sent again.

use std::collections::{HashMap, VecDeque};

use event_store::follower::StoredEvent;
use eventstore::Client;
use futures_util::{StreamExt, stream};
use uuid::Uuid;

use crate::append::{Divergence, Run, Trouble};

/// How many organizations' events are on their way at once.
const LANES: usize = 8;

/// What is not acknowledged yet.
#[derive(Debug)]
pub(crate) struct Outstanding {
    lanes: Vec<VecDeque<Run>>,
}

impl Outstanding {
    pub fn new(page: &[StoredEvent]) -> Result<Self, Divergence> {
        let mut places: HashMap<Uuid, usize> = HashMap::new();
        let mut lanes: Vec<VecDeque<Run>> = Vec::new();
        for event in page {
            let place = *places.entry(event.organization).or_insert(lanes.len());
            if place == lanes.len() {
                lanes.push(VecDeque::new());
            }
            let Some(lane) = lanes.get_mut(place) else { continue };
            let taken = match lane.back_mut() {
                Some(run) => run.extend(event)?,
                None => false,
            };
            if !taken {
                lane.push_back(Run::new(event)?);
            }
        }
        Ok(Self { lanes })
    }

    /// Sends everything. What was acknowledged before some trouble is done; a divergence is told rather than a lost connection.
    pub async fn send(&mut self, client: &Client) -> Result<(), Trouble> {
        let lanes = std::mem::take(&mut self.lanes);
        let drained: Vec<_> = stream::iter(lanes.into_iter().map(|lane| drain(lane, client.clone())))
            .buffer_unordered(LANES)
            .collect()
            .await;
        let mut again = None;
        for (lane, outcome) in drained {
            if !lane.is_empty() {
                self.lanes.push(lane);
            }
            match outcome {
                Ok(()) => {}
                Err(Trouble::Again(reason)) => again = Some(reason),
                Err(diverged) => return Err(diverged),
            }
        }
        again.map_or(Ok(()), |reason| Err(Trouble::Again(reason)))
    }
}

/// One organization's runs, each after its predecessor was acknowledged.
async fn drain(mut lane: VecDeque<Run>, client: Client) -> (VecDeque<Run>, Result<(), Trouble>) {
    while let Some(run) = lane.front() {
        if let Err(trouble) = run.append(&client).await {
            return (lane, Err(trouble));
        }
        lane.pop_front();
    }
    (lane, Ok(()))
}
