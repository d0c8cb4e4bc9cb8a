//! What the benchmark works on: an organization, units and invoices, appended in bulk and not measured.

use std::time::Duration;

use chrono::NaiveDate;
use command_service::{
    Ask,
    http::{Grant, issue_token},
};
use domain::organization::RegisterOrganization;
use event_store::{
    AppendError, CommandContext,
    append::{NewEvent, append},
    lease::Lease,
    sequencer::Sequencer,
};
use events::{
    Currency, Event, InvoiceEvent, Metadata, Money, OrganizationId, PropertyId, ResidentId, Role, TimeZone, UnitEvent,
    UnitId,
    invoice::InvoiceLine,
    text::{Label, Name, Title},
};
use serde_json::Value;
use uuid::Uuid;

use crate::{failure::Failure, node::Node};

const AT_ONCE: usize = 1000;

/// The organization that everything happens in.
#[derive(Clone, Copy)]
pub struct World<'a> {
    pub node: &'a Node,
    pub organization: OrganizationId,
    property: PropertyId,
}

impl<'a> World<'a> {
    pub async fn found(node: &'a Node) -> Result<Self, Failure> {
        let organization = OrganizationId(Uuid::now_v7());
        let name = Name::parse("Evergreen Community Management").map_err(told)?;
        node.engine.execute(RegisterOrganization { name }, &Ask::operator(organization)).await?;
        Ok(Self { node, organization, property: PropertyId(Uuid::now_v7()) })
    }

    /// A manager's token.
    pub async fn token(&self) -> Result<String, Failure> {
        let label = Name::parse("benchmark").map_err(told)?;
        let ask = Ask::operator(self.organization);
        let (_, token, _) = issue_token(&self.node.engine, &ask, Grant::of(label, Role::OrganizationManager)).await?;
        Ok(token.secret)
    }

    /// Units with so many events each.
    pub async fn units(&self, count: usize, history: usize) -> Result<Vec<UnitId>, Failure> {
        let ids: Vec<UnitId> = (0..count).map(|_| UnitId(Uuid::now_v7())).collect();
        let mut events = Vec::with_capacity(count * history);
        for id in &ids {
            let label = Label::parse("A 0").map_err(told)?;
            events.push(row(id.0, 1, &UnitEvent::UnitAdded { property_id: self.property, label })?);
            for version in 1..history {
                let label = Label::parse(&format!("A {version}")).map_err(told)?;
                events.push(row(id.0, version + 1, &UnitEvent::UnitRelabelled { label })?);
            }
        }
        self.append(&events).await?;
        Ok(ids)
    }

    /// Invoices, each drafted and published: two events.
    pub async fn invoices(&self, count: usize) -> Result<(), Failure> {
        let title = Title::parse("Quarterly dues").map_err(told)?;
        let total = Money::try_new(31_250, Currency::USD).map_err(told)?;
        let mut events = Vec::with_capacity(count * 2);
        for _ in 0..count {
            let (id, resident_id) = (Uuid::now_v7(), ResidentId(Uuid::now_v7()));
            let drafted = InvoiceEvent::InvoiceDrafted {
                property_id: self.property,
                unit_id: UnitId(Uuid::now_v7()),
                resident_id,
                title: title.clone(),
                description: None,
                lines: vec![InvoiceLine { description: title.clone(), amount: total }],
                total,
                due_on: NaiveDate::from_ymd_opt(2030, 1, 31).unwrap_or_default(),
                time_zone: TimeZone::parse("America/New_York").map_err(told)?,
            };
            events.push(row(id, 1, &drafted)?);
            events.push(row(id, 2, &InvoiceEvent::InvoicePublished { resident_id, notify: false })?);
        }
        self.append(&events).await
    }

    /// Appends what is not measured.
    pub async fn append(&self, events: &[NewEvent]) -> Result<(), Failure> {
        for events in events.chunks(AT_ONCE) {
            let context = CommandContext {
                metadata: Metadata {
                    organization: self.organization,
                    actor: "operator".to_owned(),
                    role: Role::Operator,
                    correlation: Uuid::now_v7(),
                    causation: None,
                    command: "Benchmark".to_owned(),
                    command_id: Uuid::now_v7(),
                    client_address: None,
                },
                recorded_at: self.node.clock.now(),
                idempotency: None,
            };
            append(self.node.store.pool(), &context, None, events, &Value::Null).await.map_err(refused)?;
        }
        Ok(())
    }

    /// Lets a sequencer of ours order all that waits, and returns how many events.
    pub async fn order(&self) -> Result<usize, Failure> {
        let pool = self.node.store.pool();
        let sequencer = Sequencer::new(pool.clone(), self.node.store.positions().clone());
        let holder = Uuid::now_v7();
        let lease = loop {
            match Lease::acquire(pool, "sequencer", holder).await? {
                Some(lease) => break lease,
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        let mut ordered = 0;
        loop {
            match sequencer.step(&lease).await? {
                Some(0) => break,
                Some(count) => ordered += count,
                None => return Err(Failure::Told("another process orders the benchmark's log".to_owned())),
            }
        }
        lease.release(pool).await?;
        Ok(ordered)
    }
}

/// An event to be appended.
pub fn row<E: Event + serde::Serialize>(id: Uuid, version: usize, event: &E) -> Result<NewEvent, Failure> {
    Ok(NewEvent {
        stream: E::STREAM,
        stream_id: id,
        version: i64::try_from(version).unwrap_or(i64::MAX),
        event_type: event.name(),
        event_version: event.version(),
        payload: serde_json::to_value(event).map_err(told)?,
    })
}

fn refused(error: AppendError) -> Failure {
    Failure::Command(command_service::Fault::Store(error))
}

/// A benchmark's own input that does not parse.
pub fn told(error: impl std::fmt::Display) -> Failure {
    Failure::Told(error.to_string())
}
