//! The reactor: reads the log for every process and writes the steps that follow into the outbox, each once.

use std::{sync::Arc, time::Duration};

use event_store::{
    AppendError, Store, Subscription,
    lease::{Lease, TERM},
};
use events::{Recorded, text_message::TextClass};
use processes::{Effect, Process, Step, processes};
use serde_json::json;
use sqlx::PgExecutor;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use uuid::Uuid;

use crate::{
    outbox::{self, Entry, Lane},
    quarantine,
};

const PAGE: i64 = 500;

/// Writes the checkpoints of processes that have none, at the head of the log: history is not replayed into effects.
/// Called before anything is appended, so that on a new database they start at the beginning.
pub async fn register(store: &Arc<Store>) -> Result<(), sqlx::Error> {
    let head = event_store::positions::head(store.pool()).await?;
    for process in processes() {
        Subscription::new(format!("process/{}", process.name), store.clone()).begin(head).await?;
    }
    Ok(())
}

/// Turns events into outbox rows. Run one in every worker; the lease decides which one works.
#[derive(Debug)]
pub struct Reactor {
    store: Arc<Store>,
    holder: Uuid,
    written: Arc<Notify>,
}

impl Reactor {
    /// `written` is notified when there is new work.
    pub fn new(store: Arc<Store>, written: Arc<Notify>) -> Self {
        Self { store, holder: Uuid::now_v7(), written }
    }

    /// Works until `stop` turns true.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            // What a failover has lost was read before: after it everything is looked up anew.
            if !quarantine::over(self.store.pool(), stop.clone()).await {
                return;
            }
            match Lease::acquire(self.store.pool(), "processes", self.holder).await {
                Ok(Some(lease)) => {
                    if let Err(error) = self.lead(&stop).await {
                        tracing::error!(%error, "the processes failed and start over");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                    let _ = lease.release(self.store.pool()).await;
                }
                Ok(None) => {
                    let _ = tokio::time::timeout(TERM / 4, stop.changed()).await;
                }
                Err(error) => {
                    tracing::error!(%error, "the processes cannot reach their lease");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    async fn lead(&self, stop: &watch::Receiver<bool>) -> Result<(), AppendError> {
        let pool = self.store.pool();
        let mut following = self.follow().await?;
        let mut renewed = Instant::now();
        while !*stop.borrow() {
            if renewed.elapsed() > TERM / 3 {
                if Lease::acquire(pool, "processes", self.holder).await?.is_none() {
                    return Ok(());
                }
                renewed = Instant::now();
            }
            match self.page(&mut following).await? {
                None => return Ok(()),
                Some(0) => {
                    let after = following.after();
                    following.reader.wait_beyond(after, TERM / 3).await;
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Reads on to the end of the log, whoever holds the lease; returns how many events were read.
    pub async fn catch_up(&self) -> Result<usize, AppendError> {
        let mut following = self.follow().await?;
        let mut read = 0;
        loop {
            match self.page(&mut following).await? {
                None | Some(0) => return Ok(read),
                Some(events) => read += events,
            }
        }
    }

    async fn follow(&self) -> Result<Following, AppendError> {
        let pool = self.store.pool();
        let incarnation: i32 =
            sqlx::query_scalar("select incarnation from engine.installation").fetch_one(pool).await?;
        let head = event_store::positions::head(pool).await?;
        let mut places = Vec::new();
        for process in processes() {
            let subscription = Subscription::new(format!("process/{}", process.name), self.store.clone());
            let position = subscription.begin(head).await?;
            places.push((process, subscription, position));
        }
        let reader = Subscription::new("processes", self.store.clone());
        Ok(Following { places, reader, incarnation, head })
    }

    /// Turns one page of events into rows; returns how many events there were, or `None` when the history is another than the one
    /// that is followed, or waits for a person.
    async fn page(&self, following: &mut Following) -> Result<Option<usize>, AppendError> {
        let page = following.reader.page(following.after(), PAGE).await?;
        if page.events.is_empty() {
            return Ok(self.is_followed(self.store.pool(), following).await?.then_some(0));
        }
        let mut transaction = event_store::transaction::begin(self.store.pool()).await?;
        if !self.is_followed(&mut *transaction, following).await? {
            return Ok(None);
        }
        let mut entries = Vec::new();
        let names: Vec<String> =
            following.places.iter().map(|(_, subscription, _)| subscription.name().to_owned()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let locked = Subscription::lock_all(&names, &mut transaction).await?;
        for (process, subscription, position) in &mut following.places {
            // Another leader may have gone further meanwhile; its rows are there already.
            let known = locked.get(subscription.name()).copied().unwrap_or(*position).max(*position);
            let news = page.events.iter().filter(|event| event.global_position > known);
            entries.extend(news.flat_map(|event| steps(process, event, following.incarnation)));
            *position = known.max(page.end);
        }
        Subscription::advance_all(&names, &mut transaction, page.end).await?;
        outbox::add(&mut transaction, &entries).await?;
        transaction.commit().await?;
        if !entries.is_empty() {
            self.written.notify_one();
        }
        Ok(Some(page.events.len()))
    }

    async fn is_followed<'e>(&self, executor: impl PgExecutor<'e>, following: &Following) -> Result<bool, sqlx::Error> {
        let query = format!("select incarnation = $1 and {} from engine.installation", quarantine::allows());
        sqlx::query_scalar(&query).bind(following.incarnation).fetch_one(executor).await
    }
}

/// Every process with how far it has read.
#[derive(Debug)]
struct Following {
    places: Vec<(&'static Process, Subscription, i64)>,
    reader: Subscription,
    incarnation: i32,
    head: i64,
}

impl Following {
    fn after(&self) -> i64 {
        self.places.iter().map(|(_, _, position)| *position).min().unwrap_or(self.head)
    }
}

/// The rows of one event; a process that fails leaves a row for a person and goes on.
fn steps(process: &Process, event: &Recorded, incarnation: i32) -> Vec<Entry> {
    // With the organization: the same id in another one is another stream.
    let key =
        |step: &str| format!("{incarnation}/{}/{}/{}/{step}", process.name, event.organization, event.reference());
    let entry = |key, kind, name, lane, body, after: chrono::TimeDelta, problem| Entry {
        key,
        organization: event.organization,
        kind,
        name,
        lane,
        body,
        correlation: event.metadata.correlation,
        causation: event.reference(),
        due_at: event.recorded_at + after,
        problem,
    };
    let zero = chrono::TimeDelta::zero();
    match (process.react)(event) {
        Ok(steps) => steps
            .into_iter()
            .enumerate()
            .map(|(number, step)| {
                let key = key(&number.to_string());
                match step {
                    Step::Command { name, body, otherwise } => {
                        let otherwise = otherwise.map(|(name, body)| json!({ "name": name, "body": body }));
                        entry(
                            key,
                            "command",
                            name,
                            Lane::Prompt,
                            json!({ "body": body, "otherwise": otherwise }),
                            zero,
                            None,
                        )
                    }
                    Step::Effect { effect, after } => match serde_json::to_value(&effect) {
                        Ok(body) => entry(key, "effect", effect.name(), lane(&effect), body, after, None),
                        Err(error) => {
                            let problem = Some(error.to_string());
                            entry(key, "effect", effect.name(), lane(&effect), json!(null), after, problem)
                        }
                    },
                }
            })
            .collect(),
        Err(error) => {
            tracing::error!(process = process.name, event = event.reference(), %error, "a process cannot react");
            vec![entry(key("failed"), "effect", "React", Lane::Prompt, json!(null), zero, Some(error.to_string()))]
        }
    }
}

/// Charges and programme texts come in thousands; who waits for a code or an answer does not wait behind them.
const fn lane(effect: &Effect) -> Lane {
    match effect {
        Effect::ChargeWhenDue { .. } | Effect::RetryCharge { .. } => Lane::Paced,
        Effect::SendText { class: TextClass::Programme, .. } => Lane::Texts,
        _ => Lane::Prompt,
    }
}
