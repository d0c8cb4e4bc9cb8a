//! What is told of a bulk job.

use events::{JobEvent, PropertyId, job as stored};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::Tell;

/// What is done to each item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Work {
    DraftInvoices,
    PublishInvoices,
}

public! {
    /// The life of a bulk job. What it does to each invoice, the invoices tell.
    pub enum JobFact {
        /// A job was accepted; its items are worked off in chunks.
        Started = "job.started" v 1 from "JobStarted" when "Once per job." {
            job_id: Uuid,
            property_id: Uuid,
            work: Work,
            /// How many items there are.
            items: usize,
        },
        /// All items are done or refused.
        Completed = "job.completed" v 1 from "JobCompleted" when "Once per job." {
            job_id: Uuid,
            succeeded: u32,
            refused: u32,
        },
    }
}

impl Tell for JobFact {
    type Event = JobEvent;

    fn tell(job_id: Uuid, event: JobEvent) -> Option<Self> {
        Some(match event {
            JobEvent::JobStarted { property_id, work } => {
                let items = work.len();
                let work = match work {
                    stored::JobWork::DraftInvoices { .. } => Work::DraftInvoices,
                    stored::JobWork::PublishInvoices { .. } => Work::PublishInvoices,
                };
                Self::Started { job_id, property_id: property_id.0, work, items }
            }
            JobEvent::JobCompleted { succeeded, refused } => Self::Completed { job_id, succeeded, refused },
            JobEvent::JobProgressed { .. } => return None,
        })
    }

    fn property(event: &JobEvent) -> Option<PropertyId> {
        match event {
            JobEvent::JobStarted { property_id, .. } => Some(*property_id),
            JobEvent::JobProgressed { .. } | JobEvent::JobCompleted { .. } => None,
        }
    }
}
