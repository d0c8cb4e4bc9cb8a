//! The one macro that declares what the events of an aggregate are told as: shapes, names, versions, examples.

/// Declares public types; each names its version, the stored event that it is told from, and when it happens.
macro_rules! public {
    (
        $(#[$meta:meta])*
        pub enum $enum:ident {
            $(
                $(#[$vmeta:meta])*
                $variant:ident = $name:literal v $version:literal from $from:literal when $when:literal { $($body:tt)* }
            ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, schemars::JsonSchema)]
        #[serde(untagged)]
        pub enum $enum { $( $(#[$vmeta])* $variant { $($body)* } ),* }

        impl $crate::Public for $enum {
            const TYPES: &'static [$crate::Declared] = &[$(declared!($name, $version, $from, $when)),*];

            fn declared(&self) -> &'static $crate::Declared {
                match self { $( Self::$variant { .. } => &declared!($name, $version, $from, $when) ),* }
            }
        }
    };
}

macro_rules! declared {
    ($name:literal, $version:literal, $from:literal, $when:literal) => {
        $crate::Declared {
            name: $name,
            version: $version,
            kind: concat!("org.propty.", $name, ".v", $version),
            schema_file: concat!($name, ".v", $version, ".json"),
            from: $from,
            when: $when,
            golden: include_str!(concat!("../../tests/golden/", $from, ".v1.json")),
        }
    };
}
