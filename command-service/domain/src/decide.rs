//! The traits of deciding, and their one adaptation to `cqrs-es`.

use cqrs_es::{DomainEvent, event_sink::EventSink};
use events::{Event, OrganizationId, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use crate::context::{Context, Facts, Need, Scope};

/// How a refusal is to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is no such thing (or it is not the caller's to see).
    Missing,
    /// It is not possible as things stand.
    Conflict,
    /// The command itself is wrong.
    Invalid,
    /// The caller may not.
    Forbidden,
}

/// Why a command is impossible.
pub trait Refuse: std::error::Error + Clone + Send + Sync + 'static {
    fn kind(&self) -> Kind;
    /// Stable: integrators match on it.
    fn code(&self) -> &'static str;
}

/// What one stream of events amounts to.
pub trait Aggregate: Default + std::fmt::Debug + Send + Sync + 'static {
    type Event: Event + DomainEvent;
    type Refusal: Refuse;

    fn evolve(&mut self, event: &Self::Event);

    /// Whose it is: which properties and which resident.
    fn scope(&self) -> Scope {
        Scope::default()
    }

    /// The refusal that an event puts on record: it is appended, and the asker is refused all the same.
    fn verdict(_event: &Self::Event) -> Option<Self::Refusal> {
        None
    }
}

/// The events of a decision, or why there are none.
pub type Decision<A> = Result<Vec<<A as Aggregate>::Event>, <A as Aggregate>::Refusal>;

/// Something that somebody wants to happen to one aggregate.
pub trait Command: Clone + Serialize + DeserializeOwned + JsonSchema + Send + Sync + std::fmt::Debug + 'static {
    type Aggregate: Aggregate;
    const NAME: &'static str;
    /// Who may ask for it.
    const ROLES: &'static [Role];

    /// The stream that decides.
    fn stream(&self, organization: OrganizationId) -> Uuid;

    /// Whose thing the command touches; for what does not exist yet, the command says so itself.
    fn scope(&self, state: &Self::Aggregate) -> Scope {
        state.scope()
    }

    /// The same, for what only another aggregate can tell.
    fn scope_with(&self, state: &Self::Aggregate, _facts: &Facts) -> Scope {
        self.scope(state)
    }

    /// Other aggregates whose state the decision looks at. Asked again after each load, so that one may lead to the next.
    fn needs(&self, _state: &Self::Aggregate, _facts: &Facts) -> Vec<Need> {
        Vec::new()
    }

    /// Whether it goes on record that somebody asked who may not; see [`Self::turned_away`].
    const RECORDS_THE_TURNED_AWAY: bool = false;

    /// What goes on record when somebody asks whose role is not admitted, or whom it does not concern. They are refused whatever
    /// this says.
    fn turned_away(self, _state: &Self::Aggregate, _context: &Context) -> Vec<<Self::Aggregate as Aggregate>::Event> {
        Vec::new()
    }

    /// No events: it is so already. Total, synchronous, without a clock.
    fn decide(self, state: &Self::Aggregate, context: &Context) -> Decision<Self::Aggregate>;

    /// A body that is accepted somewhere in the demo.
    fn example() -> Value;
}

/// An aggregate as `cqrs-es` sees it: a command is a closed decision.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Hosted<A> {
    #[serde(skip)]
    pub state: A,
}

/// A command together with its context, ready to decide.
pub struct Asked<A: Aggregate>(Box<Deciding<A>>);

type Deciding<A> = dyn FnOnce(&A) -> Decision<A> + Send;

impl<A: Aggregate> std::fmt::Debug for Asked<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asked(…)")
    }
}

impl<A: Aggregate> Asked<A> {
    pub fn new<C: Command<Aggregate = A>>(command: C, context: Context) -> Self {
        Self(Box::new(move |state| command.decide(state, &context)))
    }
}

impl<A: Aggregate> cqrs_es::Aggregate for Hosted<A> {
    const TYPE: &'static str = <A::Event as Event>::STREAM;
    type Command = Asked<A>;
    type Event = A::Event;
    type Error = A::Refusal;
    type Services = ();

    async fn handle(
        &mut self,
        command: Self::Command,
        (): &Self::Services,
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        for event in (command.0)(&self.state)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Self::Event) {
        self.state.evolve(&event);
    }
}
