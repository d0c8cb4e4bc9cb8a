//! The providers as configured: adapters, webhook secrets, and how we present ourselves.

use std::{sync::Arc, time::Duration};

use host::{
    Settings,
    settings::{Texting, WebhookTargets},
};
use integrations::{
    ResendMail, ResendSettings, Secret, SettingsError, SmtpMail, SmtpSettings, StripeGateway, StripeSettings,
    TwilioSettings, TwilioTexts, WebhookSender, outbound::Targets,
};
use processes::ports::{Mail, Stripe, Texts};

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(30);
/// What a sandbox signs its webhooks with. Not secrets: a sandbox moves no money.
pub const SANDBOX_STRIPE_WEBHOOKS: &str = "whsec_sandbox_stripe";
pub const SANDBOX_RESEND_WEBHOOKS: &str = "whsec_c2FuZGJveC1yZXNlbmQtc2VjcmV0";

/// Whose texts a sandbox takes, and what it signs with.
pub const SANDBOX_TWILIO_ACCOUNT: &str = "AC5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";
pub const SANDBOX_TWILIO_SERVICE: &str = "MG5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";
pub const SANDBOX_TWILIO_TOKEN: &str = "sandbox-twilio-token";

/// Everything that effects and webhooks need of the outside.
#[derive(Debug, Clone)]
pub struct Providers {
    pub stripe: Arc<dyn Stripe>,
    pub mail: Arc<dyn Mail>,
    /// Absent where texts are switched off.
    pub texts: Option<Arc<dyn Texts>>,
    /// Sends webhooks to integrators.
    pub webhooks: WebhookSender,
    /// Two during a rotation.
    pub stripe_webhook_secrets: Vec<Secret>,
    pub resend_webhook_secrets: Vec<Secret>,
    pub twilio_webhook_tokens: Vec<Secret>,
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
    if settings.texts == Texting::Twilio && settings.secrets.twilio.is_none() {
        lacks.push("TWILIO_AUTH_TOKEN");
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
        let (texts, twilio_webhook_tokens) = texts(settings, base("twilio"))?;
        Ok(Self {
            stripe: Arc::new(stripe),
            mail,
            texts,
            webhooks: WebhookSender::try_new(match settings.webhook_targets {
                WebhookTargets::Public => Targets::Public,
                WebhookTargets::Any => Targets::Any,
            })?,
            stripe_webhook_secrets,
            resend_webhook_secrets,
            twilio_webhook_tokens,
            public_url: settings.public_url(),
            mail_from: settings.mail_from.clone(),
        })
    }
}

type TextsAndTokens = (Option<Arc<dyn Texts>>, Vec<Secret>);

/// Twilio or the sandbox, with the tokens that webhooks are signed with. Where texts are switched off nothing is sent, but whoever was
/// texted before is still heard: a STOP must not be turned away.
fn texts(settings: &Settings, sandbox: Option<String>) -> Result<TextsAndTokens, ProvidersError> {
    let further = settings.secrets.twilio_webhooks.iter().map(|token| Secret::from(token.expose()));
    let (api_base, account_sid, auth_token, messaging_service) = match (&settings.secrets.twilio, sandbox) {
        (Some(own), _) => {
            let token = Secret::from(own.auth_token.expose());
            (settings.twilio_api.clone(), own.account_sid.clone(), token, own.messaging_service.clone())
        }
        (None, Some(url)) => {
            let token = Secret::from(SANDBOX_TWILIO_TOKEN);
            (url, SANDBOX_TWILIO_ACCOUNT.to_owned(), token, SANDBOX_TWILIO_SERVICE.to_owned())
        }
        (None, None) if settings.texts == Texting::Off => return Ok((None, further.collect())),
        (None, None) => return Err(ProvidersError::Missing("TWILIO_AUTH_TOKEN")),
    };
    let tokens = [auth_token.clone()].into_iter().chain(further).collect();
    if settings.texts == Texting::Off {
        return Ok((None, tokens));
    }
    let twilio = TwilioTexts::try_new(&TwilioSettings {
        api_base,
        account_sid,
        auth_token,
        messaging_service,
        public_url: settings.public_url(),
        connect_timeout: CONNECT,
        timeout: ANSWER,
    })?;
    Ok((Some(Arc::new(twilio)), tokens))
}

#[cfg(test)]
mod tests {
    use host::{
        Secret as Kept,
        settings::{Secrets, Twilio},
    };

    use super::*;

    fn off(twilio: Option<Twilio>, further: &[&str]) -> Vec<String> {
        let twilio_webhooks = further.iter().map(|token| Kept::new(*token)).collect();
        let secrets = Secrets { twilio, twilio_webhooks, ..Secrets::default() };
        let settings = Settings { texts: Texting::Off, secrets, ..Settings::default() };
        let (sender, tokens) = texts(&settings, None).expect("providers");
        assert!(sender.is_none(), "nothing is sent");
        tokens.iter().map(|token| token.expose().to_owned()).collect()
    }

    #[test]
    fn where_texts_are_switched_off_webhooks_are_believed_all_the_same() {
        let own =
            Twilio { account_sid: "AC1".to_owned(), auth_token: Kept::new("own"), messaging_service: "MG1".to_owned() };
        assert_eq!(off(Some(own), &["rotated"]), ["own", "rotated"]);
        assert_eq!(off(None, &["rotated"]), ["rotated"]);
        assert_eq!(off(None, &[]), Vec::<String>::new());
    }
}
