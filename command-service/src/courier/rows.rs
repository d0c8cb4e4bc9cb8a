//! The courier's rows: how far each webhook is, what waits, what was tried.
//!
//! Whoever writes both locks the webhook's row before those of what waits.

mod attempts;
mod claims;
mod deliveries;
mod wishes;

use events::{OrganizationId, WebhookId};
use uuid::Uuid;

pub use attempts::{Attempt, Next, failing_since, forget_old, record};
pub use claims::{LEASE, Room, claim, release, renew};
pub use deliveries::{Delivery, drop_delivery, due, postpone, standing, take_in};
pub use wishes::{follow, replay, test};

/// A webhook that was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    pub organization: OrganizationId,
    pub webhook: WebhookId,
    /// This claim, and no other one: not even a later one of the same worker.
    pub claim: Uuid,
}

impl Endpoint {
    pub const fn key(&self) -> (Uuid, Uuid) {
        (self.organization.0, self.webhook.0)
    }
}
