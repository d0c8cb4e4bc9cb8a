//! `propty sandbox`: the double of the providers as a process of its own.

use std::process::ExitCode;

use sandbox::{Sandbox, SandboxConfig, WebhookTarget};

use crate::{
    cli::{Place, SandboxArgs},
    failure::Failure,
};
use command_service::providers::{SANDBOX_RESEND_WEBHOOKS, SANDBOX_STRIPE_WEBHOOKS, SANDBOX_TWILIO_TOKEN};

pub async fn run(place: &Place, args: &SandboxArgs) -> Result<ExitCode, Failure> {
    let target = |path: &str, secret: &str| {
        Some(WebhookTarget { url: format!("{}{path}", args.propty), secret: secret.to_owned() })
    };
    let state_file = if args.forget {
        None
    } else {
        std::fs::create_dir_all(&place.data_dir)
            .map_err(|source| Failure::File { path: place.data_dir.display().to_string(), source })?;
        Some(place.data_dir.join("sandbox.state"))
    };
    let sandbox = Sandbox::start(SandboxConfig {
        listen: args.listen,
        state_file,
        stripe_webhooks: target("/webhooks/stripe", SANDBOX_STRIPE_WEBHOOKS),
        resend_webhooks: target("/webhooks/resend", SANDBOX_RESEND_WEBHOOKS),
        twilio_webhooks: target("/webhooks/twilio/inbound", SANDBOX_TWILIO_TOKEN),
        ..SandboxConfig::default()
    })
    .await?;
    eprintln!("the sandbox listens on {}; its page shows what was sent", sandbox.url());
    let _ = tokio::signal::ctrl_c().await;
    sandbox.stop().await;
    Ok(ExitCode::SUCCESS)
}
