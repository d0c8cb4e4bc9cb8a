//! The worker: claims what is due in the outbox and among received webhooks, does it, writes what became of it.

use std::{
    collections::BTreeSet,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::Kind;
use events::Role;
use futures_util::{FutureExt, future::join_all};
use processes::Effect;
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgPool;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::JoinSet,
    time::timeout,
};
use uuid::Uuid;

use crate::{
    Ask, Fault,
    effects::{Effects, backoff},
    intake::{self, Intake},
    outbox::{self, Done, Lane, Task},
};

/// How many tasks are under way at once: most of them wait for the database or a provider.
const AT_ONCE: usize = 32;
/// How long more work is waited for once there is some, so that one claim takes several tasks.
const GATHER: Duration = Duration::from_millis(3);
/// How many outcomes are written at once.
const TOGETHER: usize = 64;
/// How often the outbox is looked at when nothing wakes the worker.
const LOOK: Duration = Duration::from_millis(250);
/// How often received webhooks are looked for.
const TAKE_IN: Duration = Duration::from_millis(50);
/// Attempts after which something that keeps failing inside is left to a person.
const ENOUGH: i32 = 50;

/// Does what processes ask for. Several may run; a row belongs to whoever claimed it.
#[derive(Debug)]
pub struct Worker {
    effects: Effects,
    holder: Uuid,
    work: Arc<Notify>,
    under_way: UnderWay,
}

/// The keys of the tasks that a worker is doing: what it claimed and lost sight of is not among them, and becomes free.
type UnderWay = Arc<Mutex<BTreeSet<String>>>;

#[derive(Deserialize)]
struct CommandBody {
    body: Value,
    otherwise: Option<Otherwise>,
}

#[derive(Deserialize)]
struct Otherwise {
    name: String,
    body: Value,
}

impl Worker {
    /// `work` is notified when there may be something to do.
    pub fn new(effects: Effects, work: Arc<Notify>) -> Self {
        Self { effects, holder: Uuid::now_v7(), work, under_way: UnderWay::default() }
    }

    /// Works until `stop` turns true, then finishes what is under way.
    pub async fn run(&self, stop: watch::Receiver<bool>) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut running = JoinSet::new();
        // Ends with this function, so it goes on while the last tasks are finished.
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(self.effects.engine.store().pool().clone(), self.holder, self.under_way.clone()));
        // Webhooks wait for their provider's answers; that must not hold up the outbox.
        for intake in Intake::ALL {
            keeper.spawn(take_in(self.effects.clone(), intake));
        }
        let (end, ended) = mpsc::unbounded_channel();
        let pool = self.effects.engine.store().pool().clone();
        let writer = tokio::spawn(write_outcomes(pool, self.under_way.clone(), self.work.clone(), ended));
        while !*stop.borrow() {
            while running.try_join_next().is_some() {}
            let free = i64::try_from(places.available_permits()).unwrap_or_default();
            let claimed = match self.claim_tasks(free).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    tracing::error!(%error, "the outbox cannot be read");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            for task in claimed {
                let Ok(place) = places.clone().acquire_owned().await else { return };
                let (effects, end) = (self.effects.clone(), end.clone());
                running.spawn(async move {
                    let done = outcome(&effects, &task).await;
                    // The writer ends after all tasks.
                    let _ = end.send(Ended { task, done, _place: place });
                });
            }
            if timeout(LOOK, self.work.notified()).await.is_ok() {
                tokio::time::sleep(GATHER).await;
            }
        }
        while running.join_next().await.is_some() {}
        drop(end);
        let _ = writer.await;
    }

    /// Does what is due now until nothing is; returns how many tasks there were.
    pub async fn drain(&self) -> Result<usize, sqlx::Error> {
        let mut count = 0;
        loop {
            let claimed = self.claim(i64::try_from(AT_ONCE).unwrap_or_default()).await?;
            if claimed.is_empty() {
                return Ok(count);
            }
            join_all(claimed.iter().map(|task| self.carry_out(task))).await;
            count += claimed.len();
        }
    }

    /// Does one task that this worker has claimed, and writes its outcome.
    pub async fn carry_out(&self, task: &Task) {
        one(&self.effects, &self.under_way, task).await;
    }

    /// Understands received webhooks, then claims up to so many tasks.
    pub async fn claim(&self, free: i64) -> Result<Vec<Task>, sqlx::Error> {
        for intake in Intake::ALL {
            intake::process(&self.effects, intake).await?;
        }
        self.claim_tasks(free).await
    }

    async fn claim_tasks(&self, free: i64) -> Result<Vec<Task>, sqlx::Error> {
        if free == 0 {
            return Ok(Vec::new());
        }
        let pool = self.effects.engine.store().pool();
        let now = self.effects.engine.clock().now();
        let mut claimed = outbox::claim(pool, self.holder, now, Lane::Prompt, free).await?;
        // Whoever pays by hand, and what follows from charges already begun, goes before new charges.
        let left = free - i64::try_from(claimed.len()).unwrap_or(free);
        let paced = left.min(self.effects.pace.available());
        claimed.extend(outbox::claim(pool, self.holder, now, Lane::Paced, paced).await?);
        let left = free - i64::try_from(claimed.len()).unwrap_or(free);
        let texts = left.min(self.effects.text_pace.available());
        claimed.extend(outbox::claim(pool, self.holder, now, Lane::Texts, texts).await?);
        locked(&self.under_way).extend(claimed.iter().map(|task| task.key.clone()));
        Ok(claimed)
    }
}

fn locked(under_way: &UnderWay) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Understands webhooks as they come.
async fn take_in(effects: Effects, intake: Intake) {
    loop {
        // Without this a panic would end the intake for as long as the worker lives.
        match AssertUnwindSafe(intake::process(&effects, intake)).catch_unwind().await {
            Ok(Ok(0)) => tokio::time::sleep(TAKE_IN).await,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "webhooks cannot be read");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(_) => {
                tracing::error!("reading webhooks panicked");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Renews the worker's claims for as long as it lives.
async fn keep(pool: PgPool, holder: Uuid, under_way: UnderWay) {
    loop {
        tokio::time::sleep(outbox::LEASE / 5).await;
        let keys: Vec<String> = locked(&under_way).iter().cloned().collect();
        // Without this a panic would let every claim run out, and others would do the same work beside this worker.
        match AssertUnwindSafe(outbox::renew(&pool, holder, &keys)).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the worker's claims could not be renewed"),
            Err(_) => tracing::error!("renewing the worker's claims panicked"),
        }
    }
}

/// A task that was done, its outcome not yet written.
struct Ended {
    task: Task,
    done: Done,
    /// Free for another one when the outcome is written.
    _place: OwnedSemaphorePermit,
}

/// Writes outcomes as they come, those that come while others are written together.
async fn write_outcomes(
    pool: PgPool,
    under_way: UnderWay,
    work: Arc<Notify>,
    mut ended: mpsc::UnboundedReceiver<Ended>,
) {
    let mut some = Vec::with_capacity(TOGETHER);
    while ended.recv_many(&mut some, TOGETHER).await > 0 {
        let outcomes: Vec<(&Task, &Done)> = some.iter().map(|ended| (&ended.task, &ended.done)).collect();
        if outbox::finish_all(&pool, &outcomes).await.is_err() {
            // One that cannot be written must not hold up the others.
            for (task, done) in outcomes {
                write_outcome(&pool, task, done).await;
            }
        }
        let mut under_way = locked(&under_way);
        for ended in some.drain(..) {
            under_way.remove(&ended.task.key);
        }
        drop(under_way);
        work.notify_one();
    }
}

async fn write_outcome(pool: &PgPool, task: &Task, done: &Done) {
    if let Err(error) = outbox::finish(pool, task, done).await {
        // The lease runs out and the task comes again; every effect can be repeated.
        tracing::error!(task = task.key, %error, "a task's outcome could not be written");
    }
}

/// Does one task and writes its outcome.
async fn one(effects: &Effects, under_way: &UnderWay, task: &Task) {
    let done = outcome(effects, task).await;
    write_outcome(effects.engine.store().pool(), task, &done).await;
    locked(under_way).remove(&task.key);
}

/// Does one task; whatever fails inside is tried again later.
async fn outcome(effects: &Effects, task: &Task) -> Done {
    // A panic concerns this task only, and must not leave its row claimed for as long as the worker lives.
    let done = match AssertUnwindSafe(perform(effects, task)).catch_unwind().await {
        Err(_) => failed(task, "the task panicked".to_owned()),
        Ok(Ok(done)) => done,
        Ok(Err(fault)) if fault.is_final() => {
            tracing::warn!(task = task.key, error = %fault, "a task was refused");
            Done::Refused(fault.to_string())
        }
        Ok(Err(fault)) => failed(task, fault.to_string()),
    };
    if let Done::Unresolved(why) = &done {
        tracing::error!(task = task.key, why, "a task is left to a person");
    }
    done
}

/// Something inside failed, perhaps after a provider was called.
fn failed(task: &Task, why: String) -> Done {
    tracing::warn!(task = task.key, attempts = task.attempts, error = why, "a task failed and is tried again");
    if task.attempts >= ENOUGH { Done::Unresolved(why) } else { Done::Unsure { after: backoff(task.attempts), why } }
}

async fn perform(effects: &Effects, task: &Task) -> Result<Done, Fault> {
    if task.kind == "effect" {
        return match serde_json::from_value::<Effect>(task.body.clone()) {
            // Boxed: there are many at once, and most are far smaller than the largest.
            Ok(effect) => Box::pin(effects.run(task, effect)).await,
            Err(error) => Ok(Done::Unresolved(format!("the effect cannot be read: {error}"))),
        };
    }
    let command: CommandBody = match serde_json::from_value(task.body.clone()) {
        Ok(command) => command,
        Err(error) => return Ok(Done::Unresolved(format!("the command cannot be read: {error}"))),
    };
    let process = task.key.split('/').nth(1).unwrap_or("process").to_owned();
    let ask = Ask::internal(task.organization, Role::Process, format!("process:{process}"), task.correlation)
        .because(task.causation.clone())
        .keyed(task.key.clone());
    let first = effects.registry.execute(&effects.engine, &task.name, command.body, ask.clone()).await;
    match (first, command.otherwise) {
        (Err(fault), Some(otherwise)) if fault.is_final() => {
            let ask = ask.keyed(format!("{}/otherwise", task.key));
            effects.registry.execute(&effects.engine, &otherwise.name, otherwise.body, ask).await?;
            Ok(Done::Finished)
        }
        // What it builds on may still be on its way: a refund's booking can overtake the payment's.
        (Err(Fault::Refused { kind: Kind::Missing, message, .. }), None) if task.attempts < 12 => {
            Ok(Done::Again { after: backoff(task.attempts), why: message })
        }
        (first, _) => first.map(|_| Done::Finished),
    }
}
