//! Upcasters: stored shapes of earlier versions, brought to today's before anything reads them.
//!
//! An optional field needs none of this. To change a shape otherwise, say of `ResidentRegistered` from version 1 to 2:
//!
//! 1. Change the fields and the number after the name: `ResidentRegistered = 2 { … }`.
//! 2. Add `SemanticVersionEventUpcaster::new("ResidentRegistered", "2", Box::new(…))` at the end of [`all`]. Its function
//!    gets the whole payload, tag included (`/ResidentRegistered/name`), in the shape of version 1 and returns that of 2.
//! 3. Personal fields arrive opened, as `$clear`, or as `{"$erased": true}`: leave the latter as it is, and never fail.
//! 4. Add `events/tests/golden/ResidentRegistered.v2.json` (`.v2.erased.json` too if it has personal fields). Goldens of old
//!    versions are never edited and never deleted: they stand for rows that nobody can rewrite.
//!
//! Versions are whole numbers at rest, which `cqrs-es` compares as such: "1" is 1.0.0 and older than "10". An upcaster takes
//! *every* older version and stamps its own ("2.0.0"); so they run oldest first, each one step, none left out: were 3 listed
//! before 2, it would be handed the shape of 1. `events/tests/upcasting` shows a step, a chain and an erased field.

use cqrs_es::persist::EventUpcaster;

/// Every upcaster, oldest first. Each has a golden file of the old JSON in `events/tests/golden/`.
pub fn all() -> Vec<Box<dyn EventUpcaster>> {
    vec![]
}
