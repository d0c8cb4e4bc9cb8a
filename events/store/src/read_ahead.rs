//! Reading ahead: while a page of the log is handled, the one after it is read.

use std::sync::{Mutex, PoisonError};

use tokio::task::JoinSet;

use crate::{
    append::AppendError,
    subscription::{Page, Subscription},
};

/// The next page, if it is likely to be there. It is given up when this is dropped.
#[derive(Debug, Default)]
pub struct ReadAhead(Mutex<Option<Begun>>);

#[derive(Debug)]
struct Begun {
    after: i64,
    limit: i64,
    reading: JoinSet<Result<Page, AppendError>>,
}

impl ReadAhead {
    /// As [`Subscription::page`]. Behind a full page another one is begun.
    pub async fn page(&self, subscription: &Subscription, after: i64, limit: i64) -> Result<Page, AppendError> {
        let page = match self.take() {
            Some(mut begun) if (begun.after, begun.limit) == (after, limit) => match begun.reading.join_next().await {
                Some(Ok(page)) => page?,
                // The runtime ends, or reading panicked: then it does so where it can be told.
                Some(Err(_)) | None => subscription.page(after, limit).await?,
            },
            // Whoever reads went on elsewhere.
            _ => subscription.page(after, limit).await?,
        };
        if i64::try_from(page.events.len()).is_ok_and(|count| count >= limit) {
            let mut reading = JoinSet::new();
            let (next, after) = (subscription.clone(), page.end);
            reading.spawn(async move { next.page(after, limit).await });
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Begun { after, limit, reading });
        }
        Ok(page)
    }

    fn take(&self) -> Option<Begun> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
