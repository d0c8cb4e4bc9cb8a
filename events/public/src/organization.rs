//! What is told of an organization.

use events::{OrganizationEvent, PropertyId};
use uuid::Uuid;

use crate::Tell;

public! {
    /// The life of an organization.
    pub enum OrganizationFact {
        /// An organization began to use Propty.
        Registered = "organization.registered" v 1 from "OrganizationRegistered" when "Once, before anything else." {
            organization_id: Uuid,
            name: String,
        },
        /// The organization has another name.
        Renamed = "organization.renamed" v 1 from "OrganizationRenamed" when "Whenever a manager renames it." {
            organization_id: Uuid,
            name: String,
        },
    }
}

impl Tell for OrganizationFact {
    type Event = OrganizationEvent;

    fn tell(organization_id: Uuid, event: OrganizationEvent) -> Option<Self> {
        Some(match event {
            OrganizationEvent::OrganizationRegistered { name } => {
                Self::Registered { organization_id, name: name.into() }
            }
            OrganizationEvent::OrganizationRenamed { name } => Self::Renamed { organization_id, name: name.into() },
            // Of the machinery, and for whoever runs it.
            OrganizationEvent::TaskResumed { .. } | OrganizationEvent::TaskDropped { .. } => return None,
        })
    }

    fn property(_: &OrganizationEvent) -> Option<PropertyId> {
        None
    }
}
