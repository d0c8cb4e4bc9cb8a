//! Rebuilding: a new generation is filled beside the live one, catches up, and takes its place. No effect fires.

use std::{sync::Arc, time::Instant};

use event_store::{ReadAhead, Store, Subscription, positions};

use crate::{
    apply::ApplyError,
    generation::{self, Generation, Shape},
    projector::fold_once,
};

const PAGE: i64 = 5000;

/// How far a rebuild is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub done: i64,
    pub total: i64,
    pub started: Instant,
}

impl Progress {
    /// Seconds left at the present pace.
    pub fn eta_seconds(&self) -> Option<u64> {
        let per_event = self.started.elapsed().as_millis().checked_div(u128::try_from(self.done).ok()?)?;
        let left = u128::try_from(self.total - self.done).ok()?;
        u64::try_from(per_event * left / 1000).ok()
    }
}

/// Fills a new generation up to the head of the log and swaps it in. Later events reach it through the projector.
pub async fn rebuild(
    store: &Arc<Store>,
    shape: &dyn Shape,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Generation, ApplyError> {
    let pool = store.pool();
    let generation = generation::create(pool, shape).await?;
    let position = fill(store, shape, &generation, 0, i64::MAX, progress).await?;
    let mut silent = |_| {};
    generation::swap(pool, &generation, async |live| {
        fill(store, shape, &generation, position, live, &mut silent).await.map(|_| ())
    })
    .await?;
    Ok(generation)
}

/// Folds from a position until `enough` or the end of the log is reached, and returns the position then.
async fn fill(
    store: &Arc<Store>,
    shape: &dyn Shape,
    generation: &Generation,
    mut position: i64,
    enough: i64,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<i64, ApplyError> {
    let started = Instant::now();
    let subscription = Subscription::new(generation.subscriber(), store.clone());
    let ahead = ReadAhead::default();
    while position < enough {
        let page = ahead.page(&subscription, position, PAGE).await?;
        if page.events.is_empty() {
            break;
        }
        match fold_once(store.pool(), shape, generation, position, &page.events, page.end, false).await {
            Err(error) if error.is_of_the_page() => {
                fold_once(store.pool(), shape, generation, position, &page.events, page.end, true).await?;
            }
            done => done?,
        }
        position = page.end;
        let total = positions::head(store.pool()).await?;
        progress(Progress { done: position, total, started });
    }
    Ok(position)
}
