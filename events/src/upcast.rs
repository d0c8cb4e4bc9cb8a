//! Upcasters: stored shapes of earlier versions, brought to today's before anything reads them.

use cqrs_es::persist::EventUpcaster;

/// Every upcaster, oldest first. Each has a golden file of the old JSON in `events/tests/golden/`.
pub fn all() -> Vec<Box<dyn EventUpcaster>> {
    vec![]
}
