//! The commands by name: what HTTP, jobs and processes look up.

use std::collections::BTreeMap;

use domain::{Command, Visitor, visit_commands};
use events::Role;
use futures_util::future::BoxFuture;
use schemars::{Schema, generate::SchemaSettings};
use serde_json::Value;

use crate::{Answer, Ask, Engine, Fault};

type Run = fn(Engine, Value, Ask) -> BoxFuture<'static, Result<Answer, Fault>>;

type TurnAway = fn(Engine, Value, Ask) -> BoxFuture<'static, ()>;

/// A command without its type.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: &'static str,
    pub roles: &'static [Role],
    pub stream: &'static str,
    pub schema: Schema,
    pub example: Value,
    run: Run,
    /// Set where it goes on record that somebody asked who may not.
    turn_away: Option<TurnAway>,
}

impl Entry {
    /// Whether people may ask for it over HTTP.
    pub fn is_public(&self) -> bool {
        self.roles.iter().any(|role| Role::PEOPLE.contains(role))
    }
}

/// All commands by their names.
#[derive(Debug, Clone)]
pub struct Registry {
    entries: BTreeMap<&'static str, Entry>,
}

struct Collect(BTreeMap<&'static str, Entry>);

impl Visitor for Collect {
    fn command<C: Command>(&mut self) {
        let entry = Entry {
            name: C::NAME,
            roles: C::ROLES,
            stream: <<C::Aggregate as domain::Aggregate>::Event as events::Event>::STREAM,
            schema: SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<C>(),
            example: C::example(),
            run: |engine, body, ask| Box::pin(async move { engine.execute(parse::<C>(body)?, &ask).await }),
            turn_away: C::RECORDS_THE_TURNED_AWAY.then_some(|engine, body, ask| {
                Box::pin(async move {
                    // What is no such command tells of nobody.
                    if let Ok(command) = parse::<C>(body) {
                        engine.turn_away(command, &ask).await;
                    }
                })
            }),
        };
        self.0.insert(C::NAME, entry);
    }
}

fn parse<C: Command>(body: Value) -> Result<C, Fault> {
    serde_path_to_error::deserialize(body)
        .map_err(|error| Fault::Body { path: error.path().to_string(), message: error.inner().to_string() })
}

impl Default for Registry {
    fn default() -> Self {
        let mut collect = Collect(BTreeMap::new());
        visit_commands(&mut collect);
        Self { entries: collect.0 }
    }
}

impl Registry {
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Executes the command of this name, if the asker's role is admitted.
    pub async fn execute(&self, engine: &Engine, name: &str, body: Value, ask: Ask) -> Result<Answer, Fault> {
        let entry = self.get(name).ok_or(Fault::UnknownCommand)?;
        if !entry.roles.contains(&ask.actor.role) {
            if let Some(turn_away) = entry.turn_away {
                turn_away(engine.clone(), body, ask).await;
            }
            let admitted = entry.roles.iter().filter(|role| Role::PEOPLE.contains(role)).map(|role| role.name());
            return Err(Fault::Role { admitted: admitted.collect() });
        }
        (entry.run)(engine.clone(), body, ask).await
    }
}
