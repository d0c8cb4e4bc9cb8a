//! The macro that declares an aggregate's refusals with their kinds and stable codes.

/// Declares a refusal enum: each variant has a kind (how HTTP answers it) and a sentence that says what would help.
macro_rules! refusals {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $variant:ident $({ $($field:ident : $type:ty),* $(,)? })? = $kind:ident, $text:literal; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum $name {
            $( #[error($text)] $variant $({ $($field: $type),* })? ),*
        }

        impl $crate::decide::Refuse for $name {
            fn kind(&self) -> $crate::decide::Kind {
                match self { $( Self::$variant { .. } => $crate::decide::Kind::$kind ),* }
            }
            fn code(&self) -> &'static str {
                match self { $( Self::$variant { .. } => stringify!($variant) ),* }
            }
        }
    };
}
