//! Excerpts of an organization's log: the events of a few types since an instant, without following the whole of it.

use chrono::{DateTime, Utc};
use events::{OrganizationId, Recorded};

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
}
