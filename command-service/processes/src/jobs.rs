//! A job goes on chunk by chunk until its last item.

use events::{JobEvent, JobId, Recorded};

use crate::{Effect, Step, reaction::Reaction};

pub fn react(event: &Recorded) -> Reaction {
    let Some(change) = event.event::<JobEvent>()? else { return Ok(vec![]) };
    let job_id = JobId(event.stream_id);
    Ok(match change {
        JobEvent::JobStarted { .. } => vec![Step::effect(Effect::RunJob { job_id, after: 0 })],
        JobEvent::JobProgressed { done, total, .. } if done < total => {
            vec![Step::effect(Effect::RunJob { job_id, after: done })]
        }
        JobEvent::JobProgressed { .. } | JobEvent::JobCompleted { .. } => vec![],
    })
}
