//! An erasure destroys the keys that the event names.

use events::{Recorded, ResidentEvent, ResidentId};

use crate::{Effect, Step, reaction::Reaction};

pub fn react(event: &Recorded) -> Reaction {
    let Some(change) = event.event::<ResidentEvent>()? else { return Ok(vec![]) };
    Ok(match change {
        ResidentEvent::ResidentErased { purposes, .. } => {
            vec![Step::effect(Effect::DestroyKeys { resident_id: ResidentId(event.stream_id), purposes })]
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
