//! The commands before the disk: who may go together, who has to wait, and who waits in vain.

use std::collections::{HashMap, HashSet, VecDeque};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::append::{AppendError, KeyName, Prepared, StreamName};

/// Beyond it a batch costs more waiting than it saves.
const COMMANDS: usize = 50;
/// So that a few large commands do not become one huge statement.
const BYTES: usize = 1 << 20;

/// A command that waits for its answer.
#[derive(Debug)]
pub(crate) struct Job {
    pub command: Prepared,
    pub reply: oneshot::Sender<Result<(), AppendError>>,
    /// Given back when the job is dropped.
    pub room: OwnedSemaphorePermit,
}

/// What waits and what is on its way.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub waiting: VecDeque<Job>,
    /// Being stored at this moment: whoever wants the same waits for the outcome instead of failing a batch.
    streams: HashSet<StreamName>,
    keys: HashSet<KeyName>,
    /// How many take from it; with none left, nothing may be put in.
    pub writers: u32,
    pub closed: bool,
}

impl Queue {
    pub fn new(writers: u32) -> Self {
        Self { writers, ..Self::default() }
    }

    /// The next commands of different streams and keys, in the order of their streams.
    pub fn take(&mut self) -> Vec<Job> {
        let (mut batch, mut bytes, mut next) = (Vec::new(), 0, 0);
        while let Some(job) = self.waiting.get(next)
            && batch.len() < COMMANDS
        {
            let weight = job.command.weight();
            if !job.reply.is_closed() {
                if self.is_busy(&job.command) {
                    next += 1;
                    continue;
                }
                if bytes > 0 && bytes + weight > BYTES {
                    break;
                }
            }
            let Some(job) = self.waiting.remove(next) else { break };
            if job.reply.is_closed() {
                continue;
            }
            bytes += weight;
            self.streams.extend(job.command.stream().map(|(stream, ..)| stream));
            self.keys.extend(job.command.key().cloned());
            batch.push(job);
        }
        batch.sort_unstable_by_key(|job| job.command.stream());
        batch
    }

    fn is_busy(&self, command: &Prepared) -> bool {
        command.stream().is_some_and(|(stream, ..)| self.streams.contains(&stream))
            || command.key().is_some_and(|key| self.keys.contains(key))
    }

    /// These are being stored no longer.
    pub fn release(&mut self, commands: &[Prepared]) {
        for command in commands {
            if let Some((stream, ..)) = command.stream() {
                self.streams.remove(&stream);
            }
            if let Some(key) = command.key() {
                self.keys.remove(key);
            }
        }
    }

    /// Those who wait in vain, because these commands are stored: nobody need ask the database.
    pub fn beaten_by(&mut self, stored: &[Prepared]) -> Vec<(Job, AppendError)> {
        if self.waiting.is_empty() || stored.is_empty() {
            return Vec::new();
        }
        let versions: HashMap<StreamName, i64> =
            stored.iter().filter_map(Prepared::stream).map(|(stream, _, last)| (stream, last)).collect();
        let keys: HashSet<&KeyName> = stored.iter().filter_map(Prepared::key).collect();
        let fate = |job: &Job| {
            if job.command.key().is_some_and(|key| keys.contains(key)) {
                return Some(AppendError::KeyTaken);
            }
            let (stream, first, _) = job.command.stream()?;
            (first <= *versions.get(&stream)?).then_some(AppendError::Conflict)
        };
        let (mut beaten, mut waiting) = (Vec::new(), VecDeque::with_capacity(self.waiting.len()));
        for job in self.waiting.drain(..) {
            match fate(&job) {
                Some(error) => beaten.push((job, error)),
                None => waiting.push_back(job),
            }
        }
        self.waiting = waiting;
        beaten
    }
}
