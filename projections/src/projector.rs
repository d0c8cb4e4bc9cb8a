//! The projector: one leader reads each page of the log once and folds it into every live read model.

use std::{collections::HashMap, sync::Arc, time::Duration};

use event_store::{
    ReadAhead, Store, Subscription,
    lease::{Lease, TERM},
};
use futures_util::{StreamExt, stream};
use sqlx::PgPool;
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

use crate::{
    apply::{ApplyError, apply_one_by_one},
    generation::{self, Generation, Shape},
    model::{Model, models},
    rebuild,
};

const PAGE: i64 = 1000;
/// How many read models fold at once: there are more of them than connections, and nobody else's must be used up.
const AT_ONCE: usize = 8;

/// Keeps the live read models up to date. Run one in every worker; the lease decides which one works.
#[derive(Debug)]
pub struct Projector {
    store: Arc<Store>,
    models: Vec<Model>,
    holder: Uuid,
    ahead: ReadAhead,
}

impl Projector {
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, models: models(), holder: Uuid::now_v7(), ahead: ReadAhead::default() }
    }

    fn pool(&self) -> &PgPool {
        self.store.pool()
    }

    /// Makes sure that every model has a live generation of today's shape, rebuilding what changed.
    pub async fn prepare(&self) -> Result<(), ApplyError> {
        for model in &self.models {
            match generation::live(self.pool(), model.name()).await? {
                Some((_, shape)) if shape == generation::fingerprint(model.as_ref()) => {}
                _ => {
                    rebuild::rebuild(&self.store, model.as_ref(), &mut |_| {}).await?;
                }
            }
        }
        Ok(())
    }

    /// Works until `stop` turns true.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            match Lease::acquire(self.pool(), "projections", self.holder).await {
                Ok(Some(lease)) => {
                    if let Err(error) = self.lead(&stop).await {
                        tracing::error!(%error, "the projector failed and starts over");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                    let _ = lease.release(self.pool()).await;
                }
                Ok(None) => {
                    let _ = tokio::time::timeout(TERM / 4, stop.changed()).await;
                }
                Err(error) => {
                    tracing::error!(%error, "the projector cannot reach its lease");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    async fn lead(&self, stop: &watch::Receiver<bool>) -> Result<(), ApplyError> {
        let mut subscription = Subscription::new("read", self.store.clone());
        let mut renewed = Instant::now();
        while !*stop.borrow() {
            if renewed.elapsed() > TERM / 3 {
                if Lease::acquire(self.pool(), "projections", self.holder).await?.is_none() {
                    return Ok(());
                }
                renewed = Instant::now();
            }
            let reached = self.step(&subscription).await?;
            subscription.wait_beyond(reached, TERM / 3).await;
        }
        Ok(())
    }

    /// Folds the next page into every model that has not seen it, and returns the position that all have reached.
    pub async fn step(&self, subscription: &Subscription) -> Result<i64, ApplyError> {
        let places = self.places().await?;
        let Some(after) = places.values().map(|(_, position)| *position).min() else { return Ok(i64::MAX) };
        let page = self.ahead.page(subscription, after, PAGE).await?;
        if page.events.is_empty() {
            return Ok(after);
        }
        let mut idle = Vec::new();
        let mut busy = Vec::new();
        for model in &self.models {
            let Some((generation, position)) = places.get(model.name()) else { continue };
            let start = page.events.partition_point(|event| event.global_position <= *position);
            let news = page.events.get(start..).unwrap_or_default();
            if news.is_empty() {
                continue;
            }
            if news.iter().any(|event| model.concerns(event)) {
                busy.push(self.fold(model.as_ref(), generation, *position, news, page.end));
            } else {
                idle.push((generation.subscriber(), *position));
            }
        }
        self.skip(idle, page.end).await?;
        // To the end, whatever becomes of one: the others' pages are good.
        let folded: Vec<_> = stream::iter(busy).buffer_unordered(AT_ONCE).collect().await;
        for done in folded {
            done?;
        }
        Ok(page.end)
    }

    async fn fold(
        &self,
        model: &dyn Shape,
        generation: &Generation,
        position: i64,
        events: &[events::Recorded],
        end: i64,
    ) -> Result<(), ApplyError> {
        match fold_once(self.pool(), model, generation, position, events, end, false).await {
            Err(error) if error.is_of_the_page() => {
                tracing::warn!(%error, read_model = model.name(), "a page failed; its events are tried one by one");
                fold_once(self.pool(), model, generation, position, events, end, true).await
            }
            done => done,
        }
    }

    /// Where each live generation is.
    async fn places(&self) -> Result<HashMap<&'static str, (Generation, i64)>, sqlx::Error> {
        let rows: Vec<(String, i32, i64)> = sqlx::query_as(
            "select model.name, model.generation, known.global_position
             from engine.read_models model
             join engine.checkpoints known on known.subscriber = 'read/' || model.name || '/g' || model.generation
             where model.state = 'live'",
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows
            .into_iter()
            .filter_map(|(name, number, position)| {
                let model = self.models.iter().find(|model| model.name() == name)?.name();
                Some((model, (Generation { model, number }, position)))
            })
            .collect())
    }

    /// Moves the checkpoints of models that the page does not concern.
    async fn skip(&self, idle: Vec<(String, i64)>, end: i64) -> Result<(), sqlx::Error> {
        let (subscribers, positions): (Vec<_>, Vec<_>) = idle.into_iter().unzip();
        sqlx::query(
            "update engine.checkpoints known set global_position = $3, updated_at = now()
             from unnest($1::text[], $2::bigint[]) as idle (subscriber, position)
             where known.subscriber = idle.subscriber and known.global_position = idle.position",
        )
        .bind(subscribers)
        .bind(positions)
        .bind(end)
        .execute(self.pool())
        .await
        .map(|_| ())
    }
}

/// Folds and moves the checkpoint in one transaction; does nothing when another has moved it meanwhile.
pub(crate) async fn fold_once(
    pool: &PgPool,
    model: &dyn Shape,
    generation: &Generation,
    position: i64,
    events: &[events::Recorded],
    end: i64,
    one_by_one: bool,
) -> Result<(), ApplyError> {
    let mut transaction = event_store::transaction::begin(pool).await?;
    let moved = sqlx::query(
        "update engine.checkpoints set global_position = $3, updated_at = now()
         where subscriber = $1 and global_position = $2",
    )
    .bind(generation.subscriber())
    .bind(position)
    .bind(end)
    .execute(&mut *transaction)
    .await?;
    if moved.rows_affected() == 0 {
        return Ok(());
    }
    if one_by_one {
        apply_one_by_one(&mut transaction, model, generation, events).await?;
    } else {
        model.apply(&mut transaction, generation, events).await?;
    }
    transaction.commit().await?;
    Ok(())
}
