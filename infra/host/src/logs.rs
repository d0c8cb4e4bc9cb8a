//! Logs to standard error, as text or JSON lines; `PROPTY_LOG` filters them.

use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, Settings};

/// Begins to log; what passes without `PROPTY_LOG` is `default`.
pub fn begin(settings: &Settings, default: &str) {
    let filter = EnvFilter::try_from_env("PROPTY_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.log_format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
}
