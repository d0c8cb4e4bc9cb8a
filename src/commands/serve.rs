//! `propty serve`: the service in production, or with a sandbox for what has no keys.

use std::{process::ExitCode, sync::Arc, time::Duration};

use command_service::Providers;
use integrations::{ResendMail, ResendSettings, Secret, SmtpMail, SmtpSettings, StripeGateway, StripeSettings};
use processes::ports::{Mail, Stripe};
use sandbox::{Sandbox, SandboxConfig, WebhookTarget};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    cli::{Place, Serve},
    failure::Failure,
    node::Node,
    server::Service,
    settings::Settings,
};

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(30);
/// What the sandbox accepts as keys and signs with. Not secrets: the sandbox moves no money.
const SANDBOX_KEY: &str = "sk_test_sandbox";
pub const SANDBOX_STRIPE_WEBHOOKS: &str = "whsec_sandbox_stripe";
pub const SANDBOX_RESEND_WEBHOOKS: &str = "whsec_c2FuZGJveC1yZXNlbmQtc2VjcmV0";

pub async fn run(place: &Place, settings: Settings, serve: &Serve) -> Result<ExitCode, Failure> {
    let lacks = missing(&settings, serve);
    if !lacks.is_empty() && place.database_url.is_some() && !serve.sandbox && serve.sandbox_url.is_none() {
        return Err(Failure::Told(format!(
            "DATABASE_URL is set but there is no {}; set it, or say --sandbox to let a sandbox stand in",
            lacks.join(" and no ")
        )));
    }
    let mut node = Node::open(place, settings).await?;
    let stand_in = if lacks.is_empty() || serve.sandbox_url.is_some() {
        None
    } else {
        let state = node.data_dir.join("sandbox.state");
        Some(start_sandbox(Some(state), &node.settings.public_url()).await?)
    };
    let sandbox_url = serve.sandbox_url.clone().or_else(|| stand_in.as_ref().map(Sandbox::url));
    let providers = providers(&node.settings, serve.mail.as_deref(), sandbox_url.as_deref())?;
    let service = match Service::start(&node, providers, serve.role).await {
        Ok(service) => service,
        Err(failure) => {
            node.close().await;
            return Err(failure);
        }
    };
    eprintln!("propty listens on http://{} (reference: /docs)", service.address);
    if let Some(url) = &sandbox_url {
        eprintln!("a sandbox stands in for {}: {url}", lacks.join(" and "));
    }
    until_told(&mut node).await;
    eprintln!("propty stops");
    service.stop().await;
    if let Some(sandbox) = stand_in {
        sandbox.stop().await;
    }
    node.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Waits for Ctrl-C or SIGTERM, or for the private database to die.
pub async fn until_told(node: &mut Node) {
    let (Ok(mut terminated), Ok(mut interrupted)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    loop {
        tokio::select! {
            _ = terminated.recv() => return,
            _ = interrupted.recv() => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                if !node.database_lives() {
                    eprintln!("propty: the private database has ended; start propty again, it recovers by itself");
                    return;
                }
            }
        }
    }
}

/// What the sandbox has to stand in for.
fn missing(settings: &Settings, serve: &Serve) -> Vec<&'static str> {
    let mut lacks = Vec::new();
    if settings.secrets.stripe_key.is_none() {
        lacks.push("STRIPE_SECRET_KEY");
    }
    let mail = serve.mail.as_deref().unwrap_or("resend");
    if mail == "sandbox" || (mail == "resend" && settings.secrets.resend_key.is_none()) {
        lacks.push("RESEND_API_KEY");
    }
    lacks
}

/// A sandbox that sends its webhooks to us.
pub async fn start_sandbox(state_file: Option<std::path::PathBuf>, propty: &str) -> Result<Sandbox, Failure> {
    let target = |path: &str, secret: &str| {
        Some(WebhookTarget { url: format!("{propty}{path}"), secret: secret.to_owned() })
    };
    Ok(Sandbox::start(SandboxConfig {
        state_file,
        stripe_webhooks: target("/webhooks/stripe", SANDBOX_STRIPE_WEBHOOKS),
        resend_webhooks: target("/webhooks/resend", SANDBOX_RESEND_WEBHOOKS),
        ..SandboxConfig::default()
    })
    .await?)
}

/// The adapters: the same code against the providers and against the sandbox.
pub fn providers(settings: &Settings, mail: Option<&str>, sandbox: Option<&str>) -> Result<Providers, Failure> {
    let secrets = &settings.secrets;
    let base = |provider: &str| sandbox.map(|url| format!("{url}/{provider}"));
    let (stripe_api, stripe_key, stripe_webhooks) = match (&secrets.stripe_key, base("stripe")) {
        (Some(key), _) => (settings.stripe_api.clone(), key.clone(), secrets.stripe_webhooks.clone()),
        (None, Some(url)) => (url, Secret::from(SANDBOX_KEY), vec![Secret::from(SANDBOX_STRIPE_WEBHOOKS)]),
        (None, None) => return Err(Failure::Told("there is no STRIPE_SECRET_KEY".to_owned())),
    };
    let stripe: Arc<dyn Stripe> = Arc::new(StripeGateway::try_new(&StripeSettings {
        api_base: stripe_api,
        secret_key: stripe_key,
        connect_timeout: CONNECT,
        timeout: ANSWER,
    })?);
    let mut resend_webhooks = secrets.resend_webhooks.clone();
    let resend = |api_base: String, api_key: Secret| {
        ResendMail::try_new(&ResendSettings { api_base, api_key, connect_timeout: CONNECT, timeout: ANSWER })
    };
    let mail: Arc<dyn Mail> = match (mail.unwrap_or("resend"), &secrets.resend_key, base("resend")) {
        ("resend", Some(key), _) => Arc::new(resend(settings.resend_api.clone(), key.clone())?),
        ("resend" | "sandbox", _, Some(url)) => {
            resend_webhooks = vec![Secret::from(SANDBOX_RESEND_WEBHOOKS)];
            Arc::new(resend(url, Secret::from("re_sandbox"))?)
        }
        ("resend" | "sandbox", _, None) => return Err(Failure::Told("there is no RESEND_API_KEY".to_owned())),
        (url, ..) => Arc::new(SmtpMail::try_new(&SmtpSettings {
            url: Secret::from(url),
            connect_timeout: CONNECT,
            timeout: ANSWER,
        })?),
    };
    Ok(Providers {
        stripe,
        mail,
        stripe_webhook_secrets: stripe_webhooks,
        resend_webhook_secrets: resend_webhooks,
        public_url: settings.public_url(),
        mail_from: settings.mail_from.clone(),
    })
}
