//! The event store behind `cqrs-es`: loads through `postgres-es`, opens sealed fields, upcasts, and owns the append.

use std::collections::HashMap;

use cqrs_es::{
    Aggregate, AggregateContext, AggregateError, DomainEvent, EventEnvelope, EventStore,
    persist::{EventUpcaster, PersistedEventRepository, PersistenceError, SerializedEvent},
};
use events::{Event, OrganizationId};
use postgres_es::PostgresEventRepository;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    Keyring,
    append::{AppendError, Appended, CommandContext, NewEvent, Prepared},
    database,
    group::{self, Group},
    idempotency::{self, Stored},
    loads::{Loads, StoredEvent},
    positions::Positions,
};

/// For loads, pages of the log, and whatever else is looked up by its key. Loads share statements, so that a few are enough.
const STATEMENTS: u32 = 8;

/// The event tables, opened.
pub struct Store {
    pool: PgPool,
    /// What is looked up by its key. No transaction may begin on these.
    statements: PgPool,
    repository: PostgresEventRepository,
    loads: Loads,
    group: Group,
    keyring: Keyring,
    upcasters: Vec<Box<dyn EventUpcaster>>,
    positions: Positions,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    pub fn new(pool: PgPool, keyring: Keyring, positions: Positions) -> Self {
        let statements = database::for_single_statements(&pool, STATEMENTS);
        // Of their own, so that no writer waits behind those who read.
        let group = Group::start(&database::for_single_statements(&pool, group::WRITERS), &positions);
        let repository =
            PostgresEventRepository::new(statements.clone()).with_tables("log.streams", "log.no_snapshots");
        let loads = Loads::start(&statements);
        Self { pool, statements, repository, loads, group, keyring, upcasters: events::upcast::all(), positions }
    }

    /// With other upcasters than today's.
    #[must_use]
    pub fn with_upcasters(mut self, upcasters: Vec<Box<dyn EventUpcaster>>) -> Self {
        self.upcasters = upcasters;
        self
    }

    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// For single statements that look rows up by an index, always the same few: their plans are made once, and scan nothing.
    /// No transaction may begin on these connections.
    pub(crate) const fn statements(&self) -> &PgPool {
        &self.statements
    }

    pub const fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    pub const fn positions(&self) -> &Positions {
        &self.positions
    }

    /// The store as one command sees it.
    pub const fn scoped<'a>(&'a self, context: &'a CommandContext) -> Scoped<'a> {
        Scoped { store: self, context }
    }

    /// The answer that a command with this key was given before.
    pub async fn answered(&self, context: &CommandContext) -> Result<Option<Stored>, AppendError> {
        match &context.idempotency {
            Some(key) => Ok(idempotency::find(&self.statements, &context.metadata, key).await?),
            None => Ok(None),
        }
    }

    /// Keeps the answer of a command that changed nothing.
    pub async fn remember(&self, context: &CommandContext, answer: &Appended) -> Result<(), AppendError> {
        if let Some(key) = &context.idempotency {
            let answer = serde_json::to_value(answer)?;
            idempotency::store(&self.statements, context.metadata.organization, &context.metadata, key, &answer)
                .await?;
        }
        Ok(())
    }

    /// The events of a stream, opened and upcast; [`AppendError::Foreign`] when they are another organization's.
    pub async fn load<A: Aggregate>(
        &self,
        organization: OrganizationId,
        id: &str,
    ) -> Result<Vec<EventEnvelope<A>>, LoadError> {
        let stored = self.repository.get_events::<A>(&format!("{organization}/{id}")).await?;
        if stored.iter().any(|event| owner(event) != Some(organization)) {
            return Err(AppendError::Foreign.into());
        }
        self.read(organization, stored).await
    }

    async fn read<A: Aggregate>(
        &self,
        organization: OrganizationId,
        mut stored: Vec<SerializedEvent>,
    ) -> Result<Vec<EventEnvelope<A>>, LoadError> {
        let mut payloads: Vec<_> = stored.iter_mut().map(|event| (organization, &mut event.payload)).collect();
        self.keyring.open_all(&mut payloads).await.map_err(AppendError::from)?;
        stored
            .into_iter()
            .map(|event| upcast(&self.upcasters, event))
            .map(|event| EventEnvelope::try_from(event).map_err(LoadError::from))
            .collect()
    }

    /// The same events without what surrounds them: what a decision needs. Read together with other callers' streams when there
    /// are any.
    pub async fn replay<A: Aggregate>(
        &self,
        organization: OrganizationId,
        id: &str,
    ) -> Result<Vec<A::Event>, LoadError> {
        let loading = self.loads.begin();
        match loading.together(A::TYPE, &format!("{organization}/{id}")).await {
            Some(stored) => self.decoded::<A>(organization, stored).await,
            None => Ok(self.load::<A>(organization, id).await?.into_iter().map(|event| event.payload).collect()),
        }
    }

    async fn decoded<A: Aggregate>(
        &self,
        organization: OrganizationId,
        stored: Vec<StoredEvent>,
    ) -> Result<Vec<A::Event>, LoadError> {
        let read = |error: serde_json::Error| LoadError::Read(error.into());
        let is_old = |event: &StoredEvent| {
            self.upcasters.iter().any(|upcaster| upcaster.can_upcast(&event.event_type, &event.event_version))
        };
        // Most events have nothing to open and are of today's version: they are parsed once, into what they are.
        if !stored.iter().any(|event| event.payload.contains("$sealed") || is_old(event)) {
            return stored.iter().map(|event| serde_json::from_str(&event.payload).map_err(read)).collect();
        }
        let mut payloads = stored
            .iter()
            .map(|event| serde_json::from_str::<Value>(&event.payload).map_err(read))
            .collect::<Result<Vec<_>, _>>()?;
        let mut sealed: Vec<_> = payloads.iter_mut().map(|payload| (organization, payload)).collect();
        self.keyring.open_all(&mut sealed).await.map_err(AppendError::from)?;
        payloads
            .into_iter()
            .zip(stored)
            .map(|(payload, event)| {
                let event = SerializedEvent {
                    aggregate_id: String::new(),
                    sequence: usize::try_from(event.sequence).unwrap_or_default(),
                    aggregate_type: A::TYPE.to_owned(),
                    event_type: event.event_type,
                    event_version: event.event_version,
                    payload,
                    metadata: Value::Null,
                };
                serde_json::from_value(upcast(&self.upcasters, event).payload).map_err(read)
            })
            .collect()
    }

    /// Opens and upcasts what a subscription read.
    pub(crate) fn upcast(&self, event: SerializedEvent) -> SerializedEvent {
        upcast(&self.upcasters, event)
    }
}

fn owner(event: &SerializedEvent) -> Option<OrganizationId> {
    event.metadata.get("organization")?.as_str()?.parse().ok()
}

fn upcast(upcasters: &[Box<dyn EventUpcaster>], event: SerializedEvent) -> SerializedEvent {
    upcasters.iter().fold(event, |event, upcaster| {
        if upcaster.can_upcast(&event.event_type, &event.event_version) { upcaster.upcast(event) } else { event }
    })
}

/// Why a stream could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the stream could not be read")]
    Read(#[from] PersistenceError),
    #[error(transparent)]
    Store(#[from] AppendError),
}

impl<E: std::error::Error> From<LoadError> for AggregateError<E> {
    fn from(error: LoadError) -> Self {
        Self::UnexpectedError(Box::new(error))
    }
}

/// The store for the length of one command: its organization, actor and key.
#[derive(Debug, Clone, Copy)]
pub struct Scoped<'a> {
    store: &'a Store,
    context: &'a CommandContext,
}

/// An aggregate as loaded, and the version that the next event builds on.
#[derive(Debug)]
pub struct StreamContext<A> {
    pub id: Uuid,
    pub version: i64,
    pub aggregate: A,
}

impl<A: Aggregate> AggregateContext<A> for StreamContext<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.aggregate
    }
}

impl<A> EventStore<A> for Scoped<'_>
where
    A: Aggregate,
    A::Event: Event,
{
    type AC = StreamContext<A>;

    async fn load_events(&self, id: &str) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        Ok(self.store.load(self.context.metadata.organization, id).await?)
    }

    async fn load_aggregate(&self, id: &str) -> Result<StreamContext<A>, AggregateError<A::Error>> {
        let events = self.store.replay::<A>(self.context.metadata.organization, id).await?;
        let id = id.parse().map_err(|error| AggregateError::UnexpectedError(Box::new(error)))?;
        let mut context = StreamContext { id, version: 0, aggregate: A::default() };
        for event in events {
            context.version += 1;
            context.aggregate.apply(event);
        }
        Ok(context)
    }

    /// `metadata` is ignored: the command's own is written.
    async fn commit(
        &self,
        events: Vec<A::Event>,
        context: StreamContext<A>,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        self.append::<A>(&events, context.id, context.version).await.map_err(|error| match error {
            AppendError::Conflict => AggregateError::AggregateConflict,
            other => AggregateError::UnexpectedError(Box::new(other)),
        })?;
        let first = usize::try_from(context.version).unwrap_or_default() + 1;
        Ok(events
            .into_iter()
            .enumerate()
            .map(|(index, payload)| EventEnvelope {
                aggregate_id: context.id.to_string(),
                sequence: first + index,
                payload,
                metadata: metadata.clone(),
            })
            .collect())
    }
}

impl Scoped<'_> {
    /// The organization that the command is about.
    pub const fn organization(&self) -> OrganizationId {
        self.context.metadata.organization
    }

    async fn append<A>(&self, new: &[A::Event], id: Uuid, version: i64) -> Result<(), AppendError>
    where
        A: Aggregate,
        A::Event: Event,
    {
        let organization = self.context.metadata.organization;
        let mut rows = Vec::with_capacity(new.len());
        for (event, version) in new.iter().zip(version + 1..) {
            let mut payload = serde_json::to_value(event)?;
            self.store.keyring.seal(organization, &mut payload).await?;
            rows.push(NewEvent {
                stream: A::TYPE,
                stream_id: id,
                version,
                event_type: event.name(),
                event_version: event.version(),
                payload,
            });
        }
        let client_address = self.client_address(id).await?;
        let answer = Appended {
            stream: A::TYPE.to_owned(),
            stream_id: id,
            version: version + i64::try_from(new.len()).unwrap_or(i64::MAX),
            events: new.iter().map(DomainEvent::event_type).collect(),
        };
        let answer = serde_json::to_value(answer)?;
        self.store.group.append(Prepared::try_new(self.context, client_address.as_ref(), &rows, &answer)?).await
    }

    /// The client's address, sealed as evidence under the stream that it touched.
    async fn client_address(&self, stream: Uuid) -> Result<Option<Value>, AppendError> {
        let Some(address) = &self.context.metadata.client_address else { return Ok(None) };
        let mut value = json!({ "$clear": { "subject": stream, "purpose": "consent", "value": address } });
        self.store.keyring.seal(self.context.metadata.organization, &mut value).await?;
        Ok(Some(value))
    }
}
