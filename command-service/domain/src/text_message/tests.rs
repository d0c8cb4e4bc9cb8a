//! Texts, told.
