//! Work on many things at once, watched as it goes.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    InvoiceId, PropertyId, ResidentId, UnitId,
    invoice::InvoiceLine,
    text::{Paragraphs, Title},
};

/// One draft of a bulk drafting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftTarget {
    pub invoice_id: InvoiceId,
    pub unit_id: UnitId,
    pub resident_id: ResidentId,
}

/// What is done to each item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum JobWork {
    DraftInvoices {
        property_id: PropertyId,
        title: Title,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<Paragraphs>,
        lines: Vec<InvoiceLine>,
        due_on: NaiveDate,
        targets: Vec<DraftTarget>,
    },
    PublishInvoices {
        invoices: Vec<InvoiceId>,
        notify: bool,
    },
}

impl JobWork {
    /// How many items there are.
    pub const fn len(&self) -> usize {
        match self {
            Self::DraftInvoices { targets, .. } => targets.len(),
            Self::PublishInvoices { invoices, .. } => invoices.len(),
        }
    }

    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemResult {
    /// The invoice's id.
    pub item: Uuid,
    /// Absent: done. Otherwise the refusal in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

events! {
    /// The life of a bulk job.
    pub enum JobEvent of "job" {
        /// A job was accepted; its items are worked off in chunks.
        JobStarted = 1 { property_id: PropertyId, work: JobWork },
        /// A chunk of items is done.
        JobProgressed = 1 { results: Vec<ItemResult>, done: u32, total: u32 },
        /// All items are done or refused.
        JobCompleted = 1 { succeeded: u32, refused: u32 },
    }
}
