//! command-service.
