//! Jobs: a chunk of items, each a command under a key of its own, then the chunk's results.

use std::time::Duration;

use domain::{
    Job,
    invoice::{DraftInvoice, PublishInvoice},
    job::RecordJobProgress,
};
use events::{
    JobId, PropertyId,
    job::{ItemResult, JobWork},
};
use futures_util::{StreamExt, stream};
use uuid::Uuid;

use super::Effects;
use crate::{
    Ask, Fault,
    outbox::{Done, Task},
};

/// Items per chunk: progress is seen this often.
const CHUNK: usize = 100;
/// Items at a time.
const AT_ONCE: usize = 8;

pub async fn run(effects: &Effects, task: &Task, id: JobId, after: u32) -> Result<Done, Fault> {
    let job: Job = effects.engine.state(task.organization, id.0).await?;
    let Some(work) = job.work else { return Ok(Done::Finished) };
    if job.completed || job.done != after {
        return Ok(Done::Finished);
    }
    let start = usize::try_from(after).unwrap_or(usize::MAX);
    let items = start..work.len().min(start.saturating_add(CHUNK));
    let results: Vec<Result<ItemResult, Fault>> = stream::iter(items)
        .map(|index| item(effects, task, id, job.property, &work, index))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut recorded = Vec::with_capacity(results.len());
    for result in results {
        match result {
            Ok(result) => recorded.push(result),
            // Something passing: what is done is recorded, the rest is tried again.
            Err(fault) if recorded.is_empty() => {
                return Ok(Done::Again { after: Duration::from_secs(1), why: fault.to_string() });
            }
            Err(_) => break,
        }
    }
    let progress = RecordJobProgress { job_id: id, after, results: recorded };
    effects.engine.execute(progress, &effects.ask(task)).await?;
    Ok(Done::Finished)
}

async fn item(
    effects: &Effects,
    task: &Task,
    id: JobId,
    property: Option<PropertyId>,
    work: &JobWork,
    index: usize,
) -> Result<ItemResult, Fault> {
    let (item, outcome) = match work {
        JobWork::DraftInvoices { property_id, title, description, lines, due_on, targets } => {
            let Some(target) = targets.get(index) else { return Err(Fault::Missing) };
            let command = DraftInvoice {
                invoice_id: target.invoice_id,
                property_id: *property_id,
                unit_id: target.unit_id,
                resident_id: target.resident_id,
                title: title.clone(),
                description: description.clone(),
                lines: lines.clone(),
                due_on: *due_on,
            };
            let item = target.invoice_id.0;
            (item, effects.engine.execute(command, &keyed(effects, task, id, property, item)).await)
        }
        JobWork::PublishInvoices { invoices, notify } => {
            let Some(invoice) = invoices.get(index) else { return Err(Fault::Missing) };
            let command = PublishInvoice { invoice_id: *invoice, notify: *notify };
            (invoice.0, effects.engine.execute(command, &keyed(effects, task, id, property, invoice.0)).await)
        }
    };
    match outcome {
        Ok(_) => Ok(ItemResult { item, refusal: None }),
        Err(fault) if fault.is_final() => Ok(ItemResult { item, refusal: Some(fault.to_string()) }),
        Err(fault) => Err(fault),
    }
}

/// Asks for one item, within the property that the job's starter was admitted to.
fn keyed(effects: &Effects, task: &Task, job: JobId, property: Option<PropertyId>, item: Uuid) -> Ask {
    let mut ask = effects.ask(task).keyed(format!("job/{job}/{item}"));
    ask.actor.property = property;
    ask
}
