//! Excerpts of an organization's log: the events of a few types since an instant, without following the whole of it.

use chrono::{DateTime, Utc};
use events::{OrganizationId, Recorded};
use uuid::Uuid;

use crate::{Store, append::AppendError, subscription::Subscription};

impl Store {
    /// What moved an organization's money at the payment provider, recorded from `since` on, in order. `log.entries` has an index
    /// of these types alone.
    pub async fn money(
        &self,
        organization: OrganizationId,
        since: DateTime<Utc>,
    ) -> Result<Vec<Recorded>, AppendError> {
        let rows = sqlx::query(
            "select entry.global_position, entry.position, entry.organization_id, entry.aggregate_type, entry.aggregate_id,
                    entry.sequence, stored.event_type, stored.event_version, stored.recorded_at, stored.payload,
                    stored.metadata
             from log.entries entry
             cross join lateral (
                 select * from log.events event
                 where event.aggregate_type = entry.aggregate_type and event.sequence = entry.sequence
                     and event.stream_key = entry.organization_id::text || '/' || entry.aggregate_id
                 limit 1
             ) stored
             where entry.organization_id = $1 and stored.recorded_at >= $2 and entry.event_type in
                 ('PaymentSettled', 'RefundSucceeded', 'PaymentDisputed', 'PaymentDisputeClosed', 'PayoutRecorded')
             order by entry.position",
        )
        .bind(organization.0)
        .bind(since)
        .fetch_all(self.pool())
        .await?;
        Subscription::read(self, &rows).await
    }

    /// When an event of this type was first recorded in a stream.
    pub async fn first_recorded(
        &self,
        organization: OrganizationId,
        stream: Uuid,
        event_type: &str,
    ) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
        sqlx::query_scalar(
            "select recorded_at from log.events where stream_key = $1 and event_type = $2 order by sequence limit 1",
        )
        .bind(format!("{organization}/{stream}"))
        .bind(event_type)
        .fetch_optional(self.pool())
        .await
    }
}
