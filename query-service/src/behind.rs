//! Reading a replica: what the primary knows that the replica does not show yet.

use edge::Problem;
use events::OrganizationId;
use serde_json::json;
use sqlx::PgPool;
use tokio::sync::watch;

use crate::feed::gone;

/// Knows how far the log goes on the primary, for whoever reads behind it.
#[derive(Debug, Clone)]
pub struct Behind {
    /// Sees all organizations.
    primary: PgPool,
    /// The log's end over all organizations, there and here.
    there: watch::Receiver<i64>,
    here: watch::Receiver<i64>,
}

impl Behind {
    pub fn new(primary: PgPool, there: watch::Receiver<i64>, here: watch::Receiver<i64>) -> Self {
        Self { primary, there, here }
    }

    /// The last position of an organization, where the replica may not show it. The primary is asked only while the replica is known to be
    /// behind; nothing is known while the primary cannot be reached.
    pub async fn head(&self, organization: OrganizationId) -> Option<i64> {
        let lags = *self.there.borrow() > *self.here.borrow();
        if !lags {
            return None;
        }
        self.primary_head(organization).await.ok().map(|(head, _)| head)
    }

    /// What a position means that the replica does not have: it comes, or it is of another history.
    pub async fn beyond(&self, organization: OrganizationId, position: i64, here: i64, incarnation: i32) -> Problem {
        match self.primary_head(organization).await {
            Ok((head, of)) if position <= head && of == incarnation => {
                let detail = format!("the answer would be as of {here}; ask again");
                Problem::unavailable("not-caught-up", detail, 1).with("position", json!(here)).with("head", json!(head))
            }
            Ok((head, of)) => gone(head, of),
            Err(error) => error.into(),
        }
    }

    async fn primary_head(&self, organization: OrganizationId) -> Result<(i64, i32), sqlx::Error> {
        sqlx::query_as(
            "select coalesce((select position from log.heads where organization_id = $1), 0),
                    (select incarnation from engine.installation)",
        )
        .bind(organization.0)
        .fetch_one(&self.primary)
        .await
    }
}
