//! Configuration: one typed struct from an optional file, with secrets and overrides from the environment.

use std::{net::SocketAddr, path::Path};

use serde::Deserialize;

use crate::Secret;

/// What can be configured. Unknown keys are refused. Secrets come from the environment only.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `PROPTY_LISTEN`.
    pub listen: SocketAddr,
    /// Where people reach us; `PROPTY_PUBLIC_URL`. `http://<listen>` by default.
    pub public_url: Option<String>,
    /// The address that e-mails come from.
    pub mail_from: String,
    /// Behind a reverse proxy: the header in which it writes the client's address.
    pub client_address_header: Option<String>,
    pub stripe_api: String,
    pub resend_api: String,
    pub twilio_api: String,
    /// `twilio`, or `off` where no texts are wanted; `PROPTY_TEXTS`.
    pub texts: Texting,
    /// How many texts are handed over in a second, in each worker: what the sender is registered for.
    pub texts_per_second: u32,
    /// How many charges autopay begins in a second, in each worker. Stripe allows 100 calls a second in all, and a charge takes
    /// about three.
    pub charges_per_second: u32,
    /// `public`, or `any` for trials: webhooks may then go by http, and to private addresses; `PROPTY_WEBHOOK_TARGETS`.
    pub webhook_targets: WebhookTargets,
    /// A file outside the database that every signed checkpoint is appended to; `PROPTY_CHECKPOINTS`.
    pub checkpoints: Option<std::path::PathBuf>,
    /// A file outside the database that every erasure is named in, by ids; `PROPTY_ERASURES`.
    pub erasures: Option<std::path::PathBuf>,
    /// `text` or `json`.
    pub log_format: LogFormat,
    #[serde(skip)]
    pub secrets: Secrets,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Whether texts are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Texting {
    #[default]
    Twilio,
    Off,
}

/// Where webhooks may be sent to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookTargets {
    #[default]
    Public,
    Any,
}

/// From the environment, never from a file.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// `STRIPE_SECRET_KEY`.
    pub stripe_key: Option<Secret>,
    /// `STRIPE_WEBHOOK_SECRETS`, comma-separated: two during a rotation.
    pub stripe_webhooks: Vec<Secret>,
    /// `RESEND_API_KEY`.
    pub resend_key: Option<Secret>,
    /// `RESEND_WEBHOOK_SECRETS`.
    pub resend_webhooks: Vec<Secret>,
    /// `TWILIO_ACCOUNT_SID`, `TWILIO_AUTH_TOKEN` and `TWILIO_MESSAGING_SERVICE_SID`.
    pub twilio: Option<Twilio>,
    /// `TWILIO_WEBHOOK_TOKENS`, comma-separated, where webhooks are signed with others than the token itself: during a rotation.
    pub twilio_webhooks: Vec<Secret>,
    /// `READ_DATABASE_URL`: a replica of the database, which callers' queries and the feed read.
    pub read_database: Option<Secret>,
    /// `PROPTY_MASTER_KEY`, 32 bytes in base64; a file in the data folder otherwise.
    pub master_key: Option<Secret>,
    /// `PROPTY_NEXT_MASTER_KEY`: during a rotation, the key that it goes to.
    pub next_master_key: Option<Secret>,
}

/// Whose texts they are.
#[derive(Debug, Clone)]
pub struct Twilio {
    pub account_sid: String,
    pub auth_token: Secret,
    pub messaging_service: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            mail_from: "noreply@propty.example".to_owned(),
            client_address_header: None,
            stripe_api: "https://api.stripe.com".to_owned(),
            resend_api: "https://api.resend.com".to_owned(),
            twilio_api: "https://api.twilio.com".to_owned(),
            texts: Texting::default(),
            texts_per_second: 3,
            charges_per_second: 20,
            webhook_targets: WebhookTargets::default(),
            checkpoints: None,
            erasures: None,
            log_format: LogFormat::Text,
            secrets: Secrets::default(),
        }
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("the configuration {path} cannot be read")]
    File { path: String, source: std::io::Error },
    #[error("the configuration is wrong: {0}")]
    Syntax(#[from] toml::de::Error),
    #[error("{name} is wrong: {why}")]
    Variable { name: &'static str, why: String },
}

impl Settings {
    pub fn load(path: Option<&Path>) -> Result<Self, SettingsError> {
        let mut settings: Self = match path {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| SettingsError::File { path: path.display().to_string(), source })?;
                toml::from_str(&text)?
            }
            None => Self::default(),
        };
        if let Some(listen) = variable("PROPTY_LISTEN") {
            settings.listen = listen.parse().map_err(|_| SettingsError::Variable {
                name: "PROPTY_LISTEN",
                why: format!("{listen:?} is not an address like 127.0.0.1:8080"),
            })?;
        }
        if let Some(url) = variable("PROPTY_PUBLIC_URL") {
            settings.public_url = Some(url);
        }
        if let Some(url) = &settings.public_url
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            return Err(SettingsError::Variable {
                name: "PROPTY_PUBLIC_URL",
                why: "it must begin with http:// or https://".to_owned(),
            });
        }
        if let Some(from) = variable("PROPTY_MAIL_FROM") {
            settings.mail_from = from;
        }
        if let Some(pace) = variable("PROPTY_CHARGES_PER_SECOND") {
            settings.charges_per_second = pace.parse().map_err(|_| SettingsError::Variable {
                name: "PROPTY_CHARGES_PER_SECOND",
                why: format!("{pace:?} is not a whole number"),
            })?;
        }
        if let Some(file) = variable("PROPTY_CHECKPOINTS") {
            settings.checkpoints = Some(file.into());
        }
        if let Some(file) = variable("PROPTY_ERASURES") {
            settings.erasures = Some(file.into());
        }
        if let Some(pace) = variable("PROPTY_TEXTS_PER_SECOND") {
            settings.texts_per_second = pace.parse().map_err(|_| SettingsError::Variable {
                name: "PROPTY_TEXTS_PER_SECOND",
                why: format!("{pace:?} is not a whole number"),
            })?;
        }
        match variable("PROPTY_TEXTS").as_deref() {
            None => {}
            Some("twilio") => settings.texts = Texting::Twilio,
            Some("off") => settings.texts = Texting::Off,
            Some(other) => {
                return Err(SettingsError::Variable {
                    name: "PROPTY_TEXTS",
                    why: format!("{other:?} is neither twilio nor off"),
                });
            }
        }
        match variable("PROPTY_WEBHOOK_TARGETS").as_deref() {
            None => {}
            Some("public") => settings.webhook_targets = WebhookTargets::Public,
            Some("any") => settings.webhook_targets = WebhookTargets::Any,
            Some(other) => {
                return Err(SettingsError::Variable {
                    name: "PROPTY_WEBHOOK_TARGETS",
                    why: format!("{other:?} is neither public nor any"),
                });
            }
        }
        settings.secrets = Secrets {
            stripe_key: variable("STRIPE_SECRET_KEY").map(Secret::new),
            stripe_webhooks: list("STRIPE_WEBHOOK_SECRETS"),
            resend_key: variable("RESEND_API_KEY").map(Secret::new),
            resend_webhooks: list("RESEND_WEBHOOK_SECRETS"),
            twilio: twilio()?,
            twilio_webhooks: list("TWILIO_WEBHOOK_TOKENS"),
            read_database: variable("READ_DATABASE_URL").map(Secret::new),
            master_key: variable("PROPTY_MASTER_KEY").map(Secret::new),
            next_master_key: variable("PROPTY_NEXT_MASTER_KEY").map(Secret::new),
        };
        Ok(settings)
    }

    /// Where people reach us, without a trailing slash.
    pub fn public_url(&self) -> String {
        let url = self.public_url.clone().unwrap_or_else(|| format!("http://{}", self.listen));
        url.trim_end_matches('/').to_owned()
    }
}

/// All three of Twilio's variables, or none: with a part of them nothing could be sent, and nobody would know.
fn twilio() -> Result<Option<Twilio>, SettingsError> {
    let names = ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_MESSAGING_SERVICE_SID"];
    match names.map(variable) {
        [Some(account_sid), Some(token), Some(messaging_service)] => {
            Ok(Some(Twilio { account_sid, auth_token: Secret::new(token), messaging_service }))
        }
        [None, None, None] => Ok(None),
        given => {
            let missing =
                names.iter().zip(&given).find(|(_, value)| value.is_none()).map_or(names[0], |(name, _)| name);
            Err(SettingsError::Variable { name: missing, why: "it is missing beside the others of Twilio".to_owned() })
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn list(name: &str) -> Vec<Secret> {
    let value = variable(name).unwrap_or_default();
    value.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Secret::new).collect()
}
