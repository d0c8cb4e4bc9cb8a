//! The one macro that declares an aggregate's events: the enum, its names, its versions and its JSON Schema.

/// Declares the events of one aggregate; the number after a name is the version of its stored shape.
macro_rules! events {
    (
        $(#[$meta:meta])*
        pub enum $enum:ident of $stream:literal {
            $( $(#[$vmeta:meta])* $name:ident = $version:literal { $($body:tt)* } ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[allow(clippy::large_enum_variant, reason = "events are short-lived and boxed nowhere else")]
        pub enum $enum { $( $(#[$vmeta])* $name { $($body)* } ),* }

        impl $crate::recorded::Event for $enum {
            const STREAM: &'static str = $stream;
            const NAMES: &'static [(&'static str, u32)] = &[$((stringify!($name), $version)),*];
            fn name(&self) -> &'static str {
                match self { $( Self::$name { .. } => stringify!($name) ),* }
            }
            fn version(&self) -> u32 {
                match self { $( Self::$name { .. } => $version ),* }
            }
        }

        impl cqrs_es::DomainEvent for $enum {
            fn event_type(&self) -> String { $crate::recorded::Event::name(self).to_owned() }
            fn event_version(&self) -> String { $crate::recorded::Event::version(self).to_string() }
        }
    };
}

/// Declares an identifier: a UUID that cannot be mistaken for another aggregate's.
macro_rules! ids {
    ($( $(#[$meta:meta])* $name:ident ),* $(,)?) => { $(
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub uuid::Uuid);

        impl $name {
            /// The identifier that follows from a parent and a natural key: the same input gives the same id,
            /// which makes imports and process steps repeatable.
            pub fn derived(parent: uuid::Uuid, natural_key: &str) -> Self {
                Self(uuid::Uuid::new_v5(&parent, natural_key.as_bytes()))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { self.0.fmt(f) }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> { text.parse().map(Self) }
        }
    )* };
}
