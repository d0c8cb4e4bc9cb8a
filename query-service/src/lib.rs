//! query-service.
