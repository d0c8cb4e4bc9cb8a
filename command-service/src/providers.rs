//! The providers as configured: adapters, webhook secrets, and how we present ourselves.

use std::{sync::Arc, time::Duration};

use host::Settings;
use integrations::{
    ResendMail, ResendSettings, Secret, SettingsError, SmtpMail, SmtpSettings, StripeGateway, StripeSettings,
};
use processes::ports::{Mail, Stripe};

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(30);
/// What a sandbox signs its webhooks with. Not secrets: a sandbox moves no money.
pub const SANDBOX_STRIPE_WEBHOOKS: &str = "whsec_sandbox_stripe";
pub const SANDBOX_RESEND_WEBHOOKS: &str = "whsec_c2FuZGJveC1yZXNlbmQtc2VjcmV0";

/// Everything that effects and webhooks need of the outside.
#[derive(Debug, Clone)]
pub struct Providers {
    pub stripe: Arc<dyn Stripe>,
    pub mail: Arc<dyn Mail>,
    /// Two during a rotation.
    pub stripe_webhook_secrets: Vec<Secret>,
    pub resend_webhook_secrets: Vec<Secret>,
    /// Where people reach us, without a trailing slash.
    pub public_url: String,
    /// The address that e-mails come from.
    pub mail_from: String,
}

/// Why the providers cannot be reached as configured.
#[derive(Debug, thiserror::Error)]
pub enum ProvidersError {
    #[error("there is no {0}; set it, or let a sandbox stand in")]
    Missing(&'static str),
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// What a sandbox has to stand in for; `mail` is `resend`, `sandbox` or an SMTP address.
pub fn missing(settings: &Settings, mail: Option<&str>) -> Vec<&'static str> {
    let mut lacks = Vec::new();
    if settings.secrets.stripe_key.is_none() {
        lacks.push("STRIPE_SECRET_KEY");
    }
    let mail = mail.unwrap_or("resend");
    if mail == "sandbox" || (mail == "resend" && settings.secrets.resend_key.is_none()) {
        lacks.push("RESEND_API_KEY");
    }
    lacks
}

impl Providers {
    /// The adapters: the same code against the providers and against a sandbox.
    pub fn try_new(settings: &Settings, mail: Option<&str>, sandbox: Option<&str>) -> Result<Self, ProvidersError> {
        let secrets = &settings.secrets;
        let ours = |secret: &host::Secret| Secret::from(secret.expose());
        let base = |provider: &str| sandbox.map(|url| format!("{url}/{provider}"));
        let (stripe_api, stripe_key, stripe_webhook_secrets) = match (&secrets.stripe_key, base("stripe")) {
            (Some(key), _) => {
                (settings.stripe_api.clone(), ours(key), secrets.stripe_webhooks.iter().map(ours).collect())
            }
            (None, Some(url)) => (url, Secret::from("sk_test_sandbox"), vec![Secret::from(SANDBOX_STRIPE_WEBHOOKS)]),
            (None, None) => return Err(ProvidersError::Missing("STRIPE_SECRET_KEY")),
        };
        let stripe = StripeGateway::try_new(&StripeSettings {
            api_base: stripe_api,
            secret_key: stripe_key,
            connect_timeout: CONNECT,
            timeout: ANSWER,
        })?;
        let mut resend_webhook_secrets: Vec<Secret> = secrets.resend_webhooks.iter().map(ours).collect();
        let resend = |api_base: String, api_key: Secret| {
            ResendMail::try_new(&ResendSettings { api_base, api_key, connect_timeout: CONNECT, timeout: ANSWER })
        };
        let mail: Arc<dyn Mail> = match (mail.unwrap_or("resend"), &secrets.resend_key, base("resend")) {
            ("resend", Some(key), _) => Arc::new(resend(settings.resend_api.clone(), ours(key))?),
            ("resend" | "sandbox", _, Some(url)) => {
                resend_webhook_secrets = vec![Secret::from(SANDBOX_RESEND_WEBHOOKS)];
                Arc::new(resend(url, Secret::from("re_sandbox"))?)
            }
            ("resend" | "sandbox", _, None) => return Err(ProvidersError::Missing("RESEND_API_KEY")),
            (url, ..) => Arc::new(SmtpMail::try_new(&SmtpSettings {
                url: Secret::from(url),
                connect_timeout: CONNECT,
                timeout: ANSWER,
            })?),
        };
        Ok(Self {
            stripe: Arc::new(stripe),
            mail,
            stripe_webhook_secrets,
            resend_webhook_secrets,
            public_url: settings.public_url(),
            mail_from: settings.mail_from.clone(),
        })
    }
}
