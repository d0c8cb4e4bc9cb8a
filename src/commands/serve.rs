//! `propty serve`: the service in production, or with a sandbox for what has no keys.

use std::{path::PathBuf, process::ExitCode};

use command_service::{
    Providers,
    providers::{SANDBOX_RESEND_WEBHOOKS, SANDBOX_STRIPE_WEBHOOKS, SANDBOX_TWILIO_TOKEN, missing},
};
use event_store::BusinessClock;
use host::{Settings, stop::until_told};
use sandbox::{Sandbox, SandboxConfig, WebhookTarget};

use crate::{
    cli::{Place, Serve},
    failure::Failure,
    node::Node,
    server::Service,
};

pub async fn run(place: &Place, settings: Settings, serve: &Serve) -> Result<ExitCode, Failure> {
    let lacks = missing(&settings, serve.mail.as_deref());
    if !lacks.is_empty() && place.database_url.is_some() && !serve.sandbox && serve.sandbox_url.is_none() {
        return Err(Failure::Told(format!(
            "DATABASE_URL is set but there is no {}; set it, or say --sandbox to let a sandbox stand in",
            lacks.join(" and no ")
        )));
    }
    let mut node = Node::open(place, settings).await?;
    let result = serve_until_told(&mut node, serve, &lacks).await;
    node.close().await;
    result.map(|()| ExitCode::SUCCESS)
}

async fn serve_until_told(node: &mut Node, serve: &Serve, lacks: &[&str]) -> Result<(), Failure> {
    let stand_in = if lacks.is_empty() || serve.sandbox_url.is_some() {
        None
    } else {
        let state = node.data_dir.join("sandbox.state");
        Some(start_sandbox(Some(state), &node.settings.public_url(), node.engine.clock()).await?)
    };
    let sandbox_url = serve.sandbox_url.clone().or_else(|| stand_in.as_ref().map(Sandbox::url));
    let providers = Providers::try_new(&node.settings, serve.mail.as_deref(), sandbox_url.as_deref())?;
    let service = Service::start(node, providers, serve.role).await?;
    eprintln!("propty listens on http://{} (reference: /docs)", service.address);
    if let Some(url) = sandbox_url.filter(|_| !lacks.is_empty()) {
        eprintln!("a sandbox stands in for {}: {url}", lacks.join(" and "));
    }
    until_told(node).await;
    eprintln!("propty stops");
    service.stop().await;
    if let Some(sandbox) = stand_in {
        sandbox.stop().await;
    }
    Ok(())
}

/// A sandbox that sends its webhooks to us, and in which it is as late as here.
pub async fn start_sandbox(
    state_file: Option<PathBuf>,
    propty: &str,
    clock: &BusinessClock,
) -> Result<Sandbox, Failure> {
    let clock = clock.clone();
    let target =
        |path: &str, secret: &str| Some(WebhookTarget { url: format!("{propty}{path}"), secret: secret.to_owned() });
    Ok(Sandbox::start(SandboxConfig {
        state_file,
        stripe_webhooks: target("/webhooks/stripe", SANDBOX_STRIPE_WEBHOOKS),
        resend_webhooks: target("/webhooks/resend", SANDBOX_RESEND_WEBHOOKS),
        twilio_webhooks: target("/webhooks/twilio/inbound", SANDBOX_TWILIO_TOKEN),
        clock: sandbox::BusinessClock::new(move || clock.now()),
        ..SandboxConfig::default()
    })
    .await?)
}
