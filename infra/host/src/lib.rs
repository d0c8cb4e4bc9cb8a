//! What every binary needs around it: settings, the database (private or given), keys, logs, an HTTP server, an orderly stop.

pub mod data;
pub mod http;
pub mod logs;
pub mod secret;
pub mod settings;
pub mod stop;

pub use data::{Host, HostError, Place};
pub use secret::Secret;
pub use settings::{Settings, SettingsError};
pub use stop::Stop;

/// An error and everything that it follows from, on one line.
pub fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.ends_with(&told) {
            text = format!("{text}: {told}");
        }
        cause = error.source();
    }
    text
}
