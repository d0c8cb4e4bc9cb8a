//! Consent, told: who may agree, what ends it, and which text may leave.

mod endings;
mod erased;
mod leave;
mod opting_in;
mod random;
mod words;
