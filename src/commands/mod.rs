//! The subcommands, one file each.

mod bench;
mod contract;
mod demo;
mod import;
mod outbox;
mod rebuild;
mod sandbox;
mod serve;
mod status;
mod token;

use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::{
    cli::{Cli, Command},
    failure::Failure,
    settings::{LogFormat, Settings},
};

/// Runs what the command line asks for.
pub async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let Cli { place, command } = cli;
    let settings = Settings::load(place.config.as_deref())?;
    log(&settings, matches!(command, Command::Serve(_)));
    match command {
        Command::Serve(serve) => serve::run(&place, settings, &serve).await,
        Command::Demo(demo) => demo::run(&place, settings, &demo).await,
        Command::Import(import) => import::run(&place, settings, &import).await,
        Command::Token(token) => token::run(&place, settings, &token).await,
        Command::Rebuild(rebuild) => rebuild::run(&place, settings, &rebuild).await,
        Command::Status { json } => status::run(&place, settings, json).await,
        Command::Outbox(outbox) => outbox::run(&place, settings, outbox).await,
        Command::Sandbox(sandbox) => sandbox::run(&place, &sandbox).await,
        Command::Openapi => contract::print_openapi(&settings),
        Command::Schemas { folder, check } => contract::write(&folder, check),
        Command::Bench(bench) => bench::run(&place, settings, &bench).await,
    }
}

/// Logs go to standard error; a service tells more than a command.
fn log(settings: &Settings, service: bool) {
    let default = if service { "info,sqlx=warn" } else { "error" };
    let filter = EnvFilter::try_from_env("PROPTY_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.log_format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
}
