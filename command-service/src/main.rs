//! `command-service`: the command side alone (commands, webhooks, processes, effects), on a given database.

use std::process::ExitCode;

use command_service::{
    Providers, reactor,
    service::{CommandSide, authenticator},
};
use host::{Host, Place, Settings, Stop, http, logs, stop::until_told};

#[tokio::main]
async fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("command-service: {}", host::explain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (place, config) = Place::from_environment();
    let settings = Settings::load(config.as_deref())?;
    logs::begin(&settings, "info,sqlx=warn");
    let (mail, sandbox) = (std::env::var("PROPTY_MAIL").ok(), std::env::var("PROPTY_SANDBOX_URL").ok());
    let providers = Providers::try_new(&settings, mail.as_deref(), sandbox.as_deref())?;
    let mut host = Host::open(&place, settings).await?;
    reactor::register(&host.store).await?;
    let side = CommandSide::new(&host, providers);
    let mut stop = Stop::default();
    host.follow(&mut stop);
    side.run_workers(&host, &mut stop);
    let address = http::serve(&host, &mut stop, side.routes(&host, authenticator(&host))).await?;
    eprintln!("command-service listens on http://{address}");
    until_told(&mut host).await;
    stop.now().await;
    host.close().await;
    Ok(())
}
