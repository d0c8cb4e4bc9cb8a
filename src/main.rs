//! `propty`: the one binary. Every subcommand is a file in `commands/`.

mod cli;
mod commands;
mod failure;
mod node;
mod server;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("propty: the runtime cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    // The embedded database stops when its guard is dropped, so nothing here may call `exit`.
    match runtime.block_on(commands::run(cli)) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("propty: {}", failure.explain());
            ExitCode::FAILURE
        }
    }
}
