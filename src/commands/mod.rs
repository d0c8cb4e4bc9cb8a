//! The subcommands, one file each.

mod audit;
mod bench;
mod contract;
mod demo;
mod events;
mod events_over_http;
mod import;
mod keys;
mod ledger;
mod mirror;
mod outbox;
mod privacy;
mod rebuild;
mod restore;
mod sandbox;
mod serve;
mod status;
mod token;

pub use status::todays_run;

use std::process::ExitCode;

use host::{Settings, logs};

use crate::{
    cli::{Cli, Command},
    failure::Failure,
};

/// Runs what the command line asks for.
pub async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let Cli { place, command } = cli;
    let settings = Settings::load(place.config.as_deref())?;
    // A service tells more than a command.
    logs::begin(&settings, if matches!(command, Command::Serve(_)) { "info,sqlx=warn" } else { "error" });
    match command {
        Command::Serve(serve) => serve::run(&place, settings, &serve).await,
        Command::Demo(demo) => demo::run(&place, settings, &demo).await,
        Command::Import(import) => import::run(&place, settings, &import).await,
        Command::Token(token) => token::run(&place, settings, &token).await,
        Command::Rebuild(rebuild) => rebuild::run(&place, settings, &rebuild).await,
        Command::Status { json } => status::run(&place, settings, json).await,
        Command::Mirror { arguments } => Err(mirror::become_it(&place, &arguments)),
        Command::Ledger(args) => ledger::run(&place, settings, args).await,
        Command::Audit(args) => audit::run(&place, settings, args).await,
        Command::Keys(args) => keys::run(&place, settings, &args).await,
        Command::Privacy(args) => privacy::run(&place, settings, args).await,
        Command::Events(args) => events::run(&place, settings, args).await,
        Command::Outbox(outbox) => outbox::run(&place, settings, outbox).await,
        Command::Restore(restore) => restore::run(&place, settings, restore).await,
        Command::Sandbox(sandbox) => sandbox::run(&place, &sandbox).await,
        Command::Openapi => Ok(contract::print_openapi(&settings)),
        Command::Schemas { folder, check } => contract::write(&folder, check),
        Command::Bench(bench) => bench::run(&place, settings, &bench).await,
    }
}
