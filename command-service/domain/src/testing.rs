//! Given, when, then: the framework of `cqrs-es` with a context; and a small community to tell stories about.

use chrono::{DateTime, Utc};
use events::{OrganizationId, Role};
use uuid::Uuid;

use crate::{
    Actor, Aggregate, Command, Context, Facts, Hosted,
    context::{Blind, Channel},
    decide::Asked,
};

pub mod fixtures;
pub mod texting;

pub struct Given<A: Aggregate> {
    events: Vec<A::Event>,
    context: Context,
}

pub struct When<A: Aggregate>(Result<Vec<A::Event>, A::Refusal>);

/// 2026-03-01 12:00 UTC.
pub fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_772_366_400, 0).unwrap_or_default()
}

/// Any value object, from its JSON text.
pub fn from<T: serde::de::DeserializeOwned>(value: impl serde::Serialize) -> T {
    let value = serde_json::to_value(value).expect("test values serialize");
    serde_json::from_value(value).expect("test values are valid")
}

/// What surrounds a command when nothing else is said.
pub fn context(facts: Facts) -> Context {
    Context {
        organization: OrganizationId(Uuid::from_u128(1)),
        actor: Actor::of(Role::OrganizationManager),
        now: noon(),
        facts,
        channel: Channel { actor_name: "token:test".into(), ..Channel::default() },
        blind: blind(),
    }
}

/// A hash as good as any, without a key.
pub fn blind() -> Blind {
    Blind::new(|value| Uuid::new_v5(&Uuid::NAMESPACE_OID, value.as_bytes()))
}

pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    Given { events: events.into_iter().collect(), context: context(Facts::default()) }
}

/// The state that these events amount to.
pub fn state<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> A {
    events.into_iter().fold(A::default(), |mut state, event| {
        state.evolve(&event);
        state
    })
}

impl<A: Aggregate> Given<A>
where
    A::Event: PartialEq,
    A::Refusal: PartialEq,
{
    pub fn facts(mut self, facts: Facts) -> Self {
        self.context.facts = facts;
        self
    }

    pub fn by(mut self, actor: Actor) -> Self {
        self.context.actor = actor;
        self
    }

    pub fn through(mut self, channel: Channel) -> Self {
        self.context.channel = channel;
        self
    }

    pub fn at(mut self, now: DateTime<Utc>) -> Self {
        self.context.now = now;
        self
    }

    pub fn when<C: Command<Aggregate = A>>(self, command: C) -> When<A> {
        let result = cqrs_es::test::TestFramework::<Hosted<A>>::with(())
            .given(self.events)
            .when(Asked::new(command, self.context))
            .inspect_result();
        When(result)
    }

    /// When asked, then these events; when asked again, then none.
    pub fn accepts<C: Command<Aggregate = A>>(self, command: C, events: impl IntoIterator<Item = A::Event>) {
        let events: Vec<_> = events.into_iter().collect();
        assert!(!events.is_empty(), "what changes nothing is ignored, not accepted");
        let before = state::<A>(self.events.clone());
        assert_eq!(command.clone().decide(&before, &self.context), Ok(events.clone()));
        let after = state::<A>(self.events.into_iter().chain(events));
        assert_eq!(command.decide(&after, &self.context), Ok(vec![]), "asked again");
    }

    /// When asked, then nothing happens: it is so already.
    pub fn ignores<C: Command<Aggregate = A>>(self, command: C) {
        self.when(command).then([]);
    }

    pub fn refuses<C: Command<Aggregate = A>>(self, command: C, refusal: A::Refusal) {
        self.when(command).then_refused(refusal);
    }
}

impl<A: Aggregate> When<A>
where
    A::Event: PartialEq,
    A::Refusal: PartialEq,
{
    pub fn then(self, events: impl IntoIterator<Item = A::Event>) {
        assert_eq!(self.0, Ok(events.into_iter().collect()));
    }

    pub fn then_refused(self, refusal: A::Refusal) {
        assert_eq!(self.0, Err(refusal));
    }
}
