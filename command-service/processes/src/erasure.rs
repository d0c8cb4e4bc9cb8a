//! An erasure destroys the keys that the event names, and the others on the day that their retention ends.

use std::collections::BTreeSet;

use chrono::{NaiveDate, NaiveTime};
use events::{Recorded, ResidentEvent, ResidentId};

use crate::{Effect, Step, reaction::Reaction};

pub fn react(event: &Recorded) -> Reaction {
    let Some(change) = event.event::<ResidentEvent>()? else { return Ok(vec![]) };
    Ok(match change {
        ResidentEvent::ResidentErased { purposes, retained } => {
            let resident_id = ResidentId(event.stream_id);
            let mut steps = Vec::new();
            if !purposes.is_empty() {
                steps.push(Step::effect(Effect::DestroyKeys { resident_id, purposes }));
            }
            // One for each day, however many purposes end on it. Told again by a later event, the timer finds nothing left.
            let days: BTreeSet<NaiveDate> = retained.iter().map(|kept| kept.until).collect();
            steps.extend(days.into_iter().map(|until| Step::Effect {
                effect: Effect::EndRetention { resident_id, until },
                after: until.and_time(NaiveTime::MIN).and_utc() - event.recorded_at,
            }));
            steps
        }
        ResidentEvent::ResidentRegistered { .. }
        | ResidentEvent::ResidentRenamed { .. }
        | ResidentEvent::ResidentEmailChanged { .. }
        | ResidentEvent::ResidentPhoneChanged { .. }
        | ResidentEvent::ResidentLanguageChanged { .. }
        | ResidentEvent::ResidentStatusChanged { .. }
        | ResidentEvent::ResidentMovedIn { .. }
        | ResidentEvent::ResidentMovedOut { .. } => vec![],
    })
}
