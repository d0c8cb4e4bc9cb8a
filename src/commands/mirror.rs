//! `propty mirror`: becomes the program `propty-mirror`, which is built apart because its client brings a cryptography of its own.

use std::{ffi::OsString, os::unix::process::CommandExt, path::PathBuf, process::Command};

use crate::{cli::Place, failure::Failure};

const PROGRAM: &str = "propty-mirror";

/// Never returns when the program is there.
pub fn become_it(place: &Place, arguments: &[OsString]) -> Failure {
    let beside = std::env::current_exe().ok().map(|ours| ours.with_file_name(PROGRAM)).filter(|path| path.is_file());
    let program = beside.unwrap_or_else(|| PathBuf::from(PROGRAM));
    let mut command = Command::new(&program);
    command.args(arguments).env("PROPTY_DATA_DIR", &place.data_dir);
    if let Some(url) = &place.database_url {
        command.env("DATABASE_URL", url);
    }
    let error = command.exec();
    Failure::Told(format!(
        "{} cannot be run ({error}); build it in infra/mirror with `cargo build --release` and put it beside propty",
        program.display()
    ))
}
