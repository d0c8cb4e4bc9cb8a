//! The execute loop: look the key up, load, authorize, decide, append, and say where it ended up in the log.

mod keys;

use std::{sync::Arc, time::Duration};

use cqrs_es::{AggregateContext, AggregateError, EventStore, event_sink::EventSink};
use domain::{
    Actor, Aggregate, Blind, Channel, Command, Context, Disclosure, Facts, Hosted, Need, Refuse, SignIn, SmsConsent,
    decide::Asked,
};
use event_store::{
    AppendError, Appended, BusinessClock, CommandContext, IdempotencyKey, Store, Stored,
    positions::{self, Expected, Place},
    seal::{self, KeyName},
    store::{LoadError, Scoped, StreamContext},
};
use events::{Event, Metadata, OrganizationId, Purpose, Role, SignInId};
use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::Fault;
use keys::Keys;

/// How often contention is retried for a caller who named no version.
const TRIES: u32 = 8;
/// How deep one needed aggregate may lead to another.
const DEPTH: u32 = 4;
/// How long an answer waits for the sequencer.
const PATIENCE: Duration = Duration::from_millis(250);

/// The version that a caller builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    Anything,
    /// `If-Match`.
    Version(i64),
    /// `If-None-Match: *`: it must not exist yet.
    Nothing,
}

/// Who asks, why, and under which conditions.
#[derive(Debug, Clone)]
pub struct Ask {
    pub organization: OrganizationId,
    pub actor: Actor,
    /// `token:…`, `session:…`, `process:…`, `provider:…` or `operator`.
    pub actor_name: String,
    pub correlation: Uuid,
    pub causation: Option<String>,
    pub client_address: Option<String>,
    pub user_agent: Option<String>,
    /// Who acts in the session owner's name, if somebody does.
    pub impersonator: Option<String>,
    pub idempotency_key: Option<String>,
    pub expect: Expect,
    /// Whether the answer waits a little for its place in the log.
    pub wants_position: bool,
}

impl Ask {
    /// Whoever runs the server.
    pub fn operator(organization: OrganizationId) -> Self {
        Self {
            organization,
            actor: Actor::of(Role::Operator),
            actor_name: "operator".to_owned(),
            correlation: Uuid::now_v7(),
            causation: None,
            client_address: None,
            user_agent: None,
            impersonator: None,
            idempotency_key: None,
            expect: Expect::Anything,
            wants_position: false,
        }
    }

    /// A process or a provider, because of something.
    pub fn internal(organization: OrganizationId, role: Role, name: impl Into<String>, correlation: Uuid) -> Self {
        Self { actor: Actor::of(role), actor_name: name.into(), correlation, ..Self::operator(organization) }
    }

    #[must_use]
    pub fn because(mut self, causation: impl Into<String>) -> Self {
        self.causation = Some(causation.into());
        self
    }

    #[must_use]
    pub fn keyed(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// The session of somebody who signed in.
    fn session(&self) -> Option<SignInId> {
        self.actor_name.strip_prefix("session:")?.parse().ok()
    }

    fn channel(&self) -> Channel {
        Channel {
            actor_name: self.actor_name.clone(),
            session: self.session(),
            impersonator: self.impersonator.clone(),
            address: self.client_address.clone(),
            user_agent: self.user_agent.clone(),
        }
    }

    /// Keys of what the system does by itself are kept for good.
    const fn is_internal(&self) -> bool {
        matches!(self.actor.role, Role::Process | Role::Provider)
    }
}

/// What an accepted command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub appended: Appended,
    /// The answer was given before, under the same key.
    pub repeated: bool,
    /// The organization's position of the last event, if it was wanted and the sequencer gave it soon.
    pub position: Option<i64>,
}

/// Executes commands.
#[derive(Debug, Clone)]
pub struct Engine {
    store: Arc<Store>,
    clock: BusinessClock,
    keys: Keys,
}

impl Engine {
    pub fn new(store: Arc<Store>, clock: BusinessClock) -> Self {
        let keys = Keys::new(store.keyring().clone());
        Self { store, clock, keys }
    }

    pub const fn store(&self) -> &Arc<Store> {
        &self.store
    }

    pub const fn clock(&self) -> &BusinessClock {
        &self.clock
    }

    /// Executes one command; `Ok` means durable.
    pub async fn execute<C: Command>(&self, command: C, ask: &Ask) -> Result<Answer, Fault> {
        let body = match &ask.idempotency_key {
            Some(_) => serde_json::to_vec(&command).map_err(AppendError::from)?,
            None => Vec::new(),
        };
        let context = self.context::<C>(ask, &body);
        let id = command.stream(ask.organization);
        let mut end = Fault::Contention;
        for attempt in 0..TRIES {
            // On the heap: what a decision looks at is large, and effects hold many commands' futures.
            match Box::pin(self.attempt(command.clone(), id, ask, &context)).await {
                Ok(answer) => return Ok(self.placed(answer, ask).await),
                Err(Fault::Contention | Fault::Store(AppendError::Retryable(_))) => {
                    tokio::time::sleep(Duration::from_millis(u64::from(attempt * attempt))).await;
                }
                Err(Fault::Store(AppendError::KeyTaken)) => break,
                Err(fault) => {
                    end = fault;
                    break;
                }
            }
        }
        // A repeated key is rare and the append refuses it, so it is looked up only when the command was not simply accepted.
        let answer = self.answered(&context).await?.ok_or(end)?;
        Ok(self.placed(answer, ask).await)
    }

    fn context<C: Command>(&self, ask: &Ask, body: &[u8]) -> CommandContext {
        CommandContext {
            metadata: Metadata {
                organization: ask.organization,
                actor: ask.actor_name.clone(),
                role: ask.actor.role,
                correlation: ask.correlation,
                causation: ask.causation.clone(),
                command: C::NAME.to_owned(),
                command_id: Uuid::now_v7(),
                client_address: ask.client_address.clone(),
            },
            recorded_at: self.clock.now(),
            idempotency: ask.idempotency_key.clone().map(|key| IdempotencyKey {
                key,
                body: self.store.keyring().mac("idempotency", body),
                permanent: ask.is_internal(),
            }),
        }
    }

    async fn answered(&self, context: &CommandContext) -> Result<Option<Answer>, Fault> {
        match self.store.answered(context).await? {
            None => Ok(None),
            Some(Stored::OtherBody) => Err(Fault::KeyReused),
            Some(Stored::Answer(answer)) => {
                let appended = serde_json::from_value(answer).map_err(AppendError::from)?;
                Ok(Some(Answer { appended, repeated: true, position: None }))
            }
        }
    }

    async fn attempt<C: Command>(
        &self,
        command: C,
        id: Uuid,
        ask: &Ask,
        context: &CommandContext,
    ) -> Result<Answer, Fault> {
        let scoped = self.store.scoped(context);
        let mut stream: StreamContext<Hosted<C::Aggregate>> =
            scoped.load_aggregate(&id.to_string()).await.map_err(fault)?;
        let state = &stream.aggregate.state;
        let facts = self.facts(&command, state, &scoped, ask).await?;
        if !ask.actor.reaches(&command.scope_with(state, &facts)) {
            if C::RECORDS_THE_TURNED_AWAY {
                Box::pin(self.turn_away(command, ask)).await;
            }
            return Err(Fault::Missing);
        }
        match ask.expect {
            Expect::Version(version) if version != stream.version => {
                return Err(Fault::Stale { current: stream.version });
            }
            Expect::Nothing if stream.version != 0 => return Err(Fault::Stale { current: stream.version }),
            Expect::Anything | Expect::Version(_) | Expect::Nothing => {}
        }
        let decision = self.surroundings(ask, context, facts);
        let sink = EventSink::default();
        cqrs_es::Aggregate::handle(stream.aggregate(), Asked::new(command, decision), &(), &sink)
            .await
            .map_err(|refusal| refused(&refusal))?;
        let events = sink.collect().await;
        if let Some(refusal) = events.iter().find_map(C::Aggregate::verdict) {
            Box::pin(self.put_on_record(events, stream, ask, context)).await?;
            return Err(refused(&refusal));
        }
        let added = i64::try_from(events.len()).unwrap_or(i64::MAX);
        let appended = Appended {
            stream: <<C::Aggregate as Aggregate>::Event as Event>::STREAM.to_owned(),
            stream_id: id,
            version: stream.version + added,
            events: events.iter().map(|event| event.name().to_owned()).collect(),
        };
        if events.is_empty() {
            if let Some(answer) = self.answered(context).await? {
                return Ok(answer);
            }
            self.store.remember(context, &appended).await?;
            return Ok(Answer { appended, repeated: false, position: None });
        }
        self.keys.make(key_names(ask, id, &events)?).await;
        let place = (ask.organization, id, appended.version);
        // Before the append, so that a fast sequencer is not missed.
        let expected = ask.wants_position.then(|| self.store.positions().expect(place));
        // After a conflict the next attempt finds out whether the version that the caller named still stands.
        scoped.commit(events, stream, std::collections::HashMap::new()).await.map_err(fault)?;
        let position = match expected {
            Some(expected) => self.await_position(&appended.stream, place, expected).await,
            None => None,
        };
        Ok(Answer { appended, repeated: false, position })
    }

    fn surroundings(&self, ask: &Ask, context: &CommandContext, facts: Facts) -> Context {
        let (keyring, organization) = (self.store.keyring().clone(), ask.organization);
        Context {
            organization,
            actor: ask.actor.clone(),
            now: context.recorded_at,
            facts,
            channel: ask.channel(),
            blind: Blind::new(move |value| keyring.digest(organization, value)),
        }
    }

    /// Appends what tells of a refusal. Not under the caller's key: a refusal is no answer to be given again.
    async fn put_on_record<A: Aggregate>(
        &self,
        events: Vec<A::Event>,
        stream: StreamContext<Hosted<A>>,
        ask: &Ask,
        context: &CommandContext,
    ) -> Result<(), Fault> {
        let context = CommandContext { idempotency: None, ..context.clone() };
        self.keys.make(key_names(ask, stream.id, &events)?).await;
        self.store.scoped(&context).commit(events, stream, std::collections::HashMap::new()).await.map_err(fault)?;
        Ok(())
    }

    /// Puts on record that somebody asked who may not. They are refused whether or not that succeeds, so a failure is only told
    /// to whoever runs the server.
    pub async fn turn_away<C: Command>(&self, command: C, ask: &Ask) {
        for _ in 0..TRIES {
            match self.try_to_turn_away(command.clone(), ask).await {
                Ok(()) => return,
                Err(Fault::Contention | Fault::Store(AppendError::Retryable(_))) => {}
                Err(fault) => {
                    tracing::error!(command = C::NAME, error = %fault, "a refused attempt could not be put on record");
                    return;
                }
            }
        }
        tracing::error!(command = C::NAME, "a refused attempt could not be put on record for contention");
    }

    async fn try_to_turn_away<C: Command>(&self, command: C, ask: &Ask) -> Result<(), Fault> {
        let context = self.context::<C>(ask, &[]);
        let scoped = self.store.scoped(&context);
        let id = command.stream(ask.organization);
        let stream: StreamContext<Hosted<C::Aggregate>> =
            scoped.load_aggregate(&id.to_string()).await.map_err(fault)?;
        let facts = self.facts(&command, &stream.aggregate.state, &scoped, ask).await?;
        let events = command.turned_away(&stream.aggregate.state, &self.surroundings(ask, &context, facts));
        if events.is_empty() { Ok(()) } else { self.put_on_record(events, stream, ask, &context).await }
    }

    /// Loads what the decision looks at besides its own stream.
    async fn facts<C: Command>(
        &self,
        command: &C,
        state: &C::Aggregate,
        scoped: &Scoped<'_>,
        ask: &Ask,
    ) -> Result<Facts, Fault> {
        let mut facts = Facts::default();
        let mut loaded: Vec<Need> = Vec::new();
        for _ in 0..DEPTH {
            let needs: Vec<Need> =
                command.needs(state, &facts).into_iter().filter(|need| !loaded.contains(need)).collect();
            if needs.is_empty() {
                break;
            }
            for known in try_join_all(needs.iter().map(|need| fact(*need, scoped, ask))).await? {
                add(&mut facts, known);
            }
            loaded.extend(needs);
        }
        Ok(facts)
    }

    /// An aggregate's state, for workers that act on it.
    pub async fn state<A: Aggregate>(&self, organization: OrganizationId, id: Uuid) -> Result<A, Fault> {
        let events = self.store.replay::<Hosted<A>>(organization, &id.to_string()).await?;
        Ok(events.iter().fold(A::default(), |mut state, event| {
            state.evolve(event);
            state
        }))
    }

    /// The answer with the position of what was there before: nothing was appended that could have been waited for.
    async fn placed(&self, mut answer: Answer, ask: &Ask) -> Answer {
        let old = answer.repeated || answer.appended.events.is_empty();
        if ask.wants_position && old && answer.appended.version > 0 {
            let (stream, id) = (&answer.appended.stream, answer.appended.stream_id);
            let place = (ask.organization, id, answer.appended.version);
            let expected = self.store.positions().expect(place);
            answer.position = match positions::lookup(self.store.pool(), stream, place).await {
                Ok(Some(position)) => Some(position),
                Ok(None) | Err(_) => self.await_position(stream, place, expected).await,
            };
        }
        answer
    }

    /// What was appended stays appended, whatever happens here.
    async fn await_position(&self, stream: &str, place: Place, expected: Expected) -> Option<i64> {
        let positions = self.store.positions();
        positions.wait(self.store.pool(), stream, place, expected, PATIENCE).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the position of an event could not be looked up");
            None
        })
    }
}

/// The keys that storing these events will need. Only callers with an address bring one for every stream that they touch.
fn key_names<E: Serialize>(ask: &Ask, stream: Uuid, events: &[E]) -> Result<Vec<KeyName>, Fault> {
    let mut names = Vec::new();
    if ask.client_address.is_some() {
        names.push(KeyName { organization: ask.organization, subject: stream, purpose: Purpose::Consent });
        let events = serde_json::to_value(events).map_err(AppendError::from)?;
        seal::key_names(ask.organization, &events, &mut names);
    }
    Ok(names)
}

/// One fact, alone among absent ones.
async fn fact(need: Need, scoped: &Scoped<'_>, ask: &Ask) -> Result<Facts, Fault> {
    let mut facts = Facts::default();
    match need {
        Need::Organization => facts.organization = Some(known(scoped, scoped.organization().0).await?),
        Need::Property(id) => facts.property = Some(known(scoped, id.0).await?),
        Need::Unit(id) => facts.unit = Some(known(scoped, id.0).await?),
        Need::Resident(id) => facts.resident = Some(known(scoped, id.0).await?),
        Need::Invoice(id) => facts.invoice = Some(known(scoped, id.0).await?),
        Need::Credit(id) => facts.credit = Some(known(scoped, id.0).await?),
        Need::Payment(id) => facts.payment = Some(known(scoped, id.0).await?),
        Need::StripeAccount(id) => facts.stripe_account = Some(known(scoped, id.0).await?),
        Need::Session => {
            facts.session = Some(match ask.session() {
                Some(id) => known(scoped, id.0).await?,
                None => SignIn::default(),
            });
        }
        Need::Disclosure => {
            facts.disclosure = Some(known(scoped, Disclosure::id(scoped.organization())).await?);
        }
        Need::SmsConsent(id) => facts.sms_consent = Some(known(scoped, SmsConsent::id(id)).await?),
    }
    Ok(facts)
}

fn add(facts: &mut Facts, more: Facts) {
    let Facts {
        organization,
        property,
        unit,
        resident,
        invoice,
        payment,
        stripe_account,
        credit,
        session,
        disclosure,
        sms_consent,
    } = more;
    facts.organization = organization.or(facts.organization.take());
    facts.property = property.or(facts.property.take());
    facts.unit = unit.or(facts.unit.take());
    facts.resident = resident.or(facts.resident.take());
    facts.invoice = invoice.or(facts.invoice.take());
    facts.payment = payment.or(facts.payment.take());
    facts.stripe_account = stripe_account.or(facts.stripe_account.take());
    facts.credit = credit.or(facts.credit.take());
    facts.session = session.or(facts.session.take());
    facts.disclosure = disclosure.or(facts.disclosure.take());
    facts.sms_consent = sms_consent.or(facts.sms_consent.take());
}

/// Another aggregate; what is another organization's does not exist.
async fn known<A: Aggregate>(scoped: &Scoped<'_>, id: Uuid) -> Result<A, Fault> {
    let loaded: Result<StreamContext<Hosted<A>>, _> = scoped.load_aggregate(&id.to_string()).await;
    match loaded.map_err(fault) {
        Ok(stream) => Ok(stream.aggregate.state),
        Err(Fault::Missing) => Ok(A::default()),
        Err(other) => Err(other),
    }
}

fn refused<R: Refuse>(refusal: &R) -> Fault {
    Fault::Refused { kind: refusal.kind(), code: refusal.code(), message: refusal.to_string() }
}

/// Brings the framework's errors back to ours.
fn fault<R: Refuse>(error: AggregateError<R>) -> Fault {
    match error {
        AggregateError::UserError(refusal) => refused(&refusal),
        AggregateError::AggregateConflict => Fault::Contention,
        AggregateError::DatabaseConnectionError(error)
        | AggregateError::DeserializationError(error)
        | AggregateError::UnexpectedError(error) => match error.downcast::<LoadError>() {
            Ok(load) => (*load).into(),
            Err(error) => match error.downcast::<AppendError>() {
                Ok(append) => match *append {
                    AppendError::Conflict => Fault::Contention,
                    other => Fault::Store(other),
                },
                Err(other) => Fault::Store(AppendError::Database(sqlx::Error::Configuration(other))),
            },
        },
    }
}

/// What a stored answer becomes for a caller.
pub fn answer_json(answer: &Answer) -> Value {
    let Answer { appended, repeated, position } = answer;
    let first = appended.version - i64::try_from(appended.events.len()).unwrap_or_default();
    let events: Vec<Value> = appended
        .events
        .iter()
        .zip(first + 1..)
        .map(|(name, version)| serde_json::json!({ "type": name, "version": version }))
        .collect();
    // Until the sequencer has placed it, the event itself is what a query can be asked to have seen.
    let token = format!("{}/{}/{}", appended.stream, appended.stream_id, appended.version);
    serde_json::json!({
        "stream": appended.stream,
        "id": appended.stream_id,
        "version": appended.version,
        "events": events,
        "position": position,
        "consistency_token": position.map_or(token, |position| position.to_string()),
        "repeated": repeated,
    })
}
