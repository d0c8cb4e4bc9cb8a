//! Erasure: the keys are destroyed, and what they sealed reads as erased from then on.

use events::{Purpose, ResidentId};

use super::Effects;
use crate::{
    Fault,
    outbox::{Done, Task},
};

pub async fn destroy(effects: &Effects, task: &Task, id: ResidentId, purposes: &[Purpose]) -> Result<Done, Fault> {
    effects.engine.store().keyring().destroy(task.organization, id.0, purposes).await?;
    Ok(Done::Finished)
}
