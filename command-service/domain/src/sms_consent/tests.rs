//! Consent, told.
