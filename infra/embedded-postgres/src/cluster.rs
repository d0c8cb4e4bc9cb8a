//! The files of the database: made whole or not at all, and asked for their version.

use std::{
    ffi::OsStr,
    fs, io,
    io::Write as _,
    path::Path,
    process::{Output, Stdio},
};

use crate::{StartError, find::Binaries, place::Place, secret};

/// The superuser, and the database made for Propty.
pub(crate) const NAME: &str = "propty";

/// The major version the cluster was made by; nothing if there is no cluster yet.
pub(crate) fn major(cluster: &Path) -> Result<Option<u32>, StartError> {
    if !cluster.exists() {
        return Ok(None);
    }
    let broken = || StartError::NotACluster { path: cluster.to_owned() };
    let text = fs::read_to_string(cluster.join("PG_VERSION")).map_err(|_| broken())?;
    text.trim().parse().map(Some).map_err(|_| broken())
}

/// Makes the cluster with its database under a name that counts for nothing, then renames it.
pub(crate) fn initialise(place: &Place, binaries: &Binaries, password: &str) -> Result<(), StartError> {
    let cluster = place.temporary("cluster")?;
    place.account.private_folder(&cluster).map_err(StartError::at(&cluster))?;
    let secret = place.temporary("secret")?;
    secret::save(&secret, password).and_then(|()| place.account.give(&secret)).map_err(StartError::at(&secret))?;

    let mut args: Vec<&OsStr> = [
        "--username",
        NAME,
        "--encoding=UTF8",
        "--locale=C",
        "--auth-local=scram-sha-256",
        "--auth-host=scram-sha-256",
    ]
    .into_iter()
    .chain(["--data-checksums", "--no-instructions", "--pwfile"])
    .map(OsStr::new)
    .collect();
    args.extend([secret.as_os_str(), OsStr::new("--pgdata"), cluster.as_os_str()]);
    let initdb = binaries.initdb();
    let output = place.account.run(&initdb, &place.base, &args);
    fs::remove_file(&secret).map_err(StartError::at(&secret))?;
    let output = output.map_err(|source| StartError::Run {
        program: initdb.clone(),
        account: place.account.name.clone(),
        source,
    })?;
    succeeded(&initdb, &output)?;

    // Both programs sync what they write, so the rename is all that is left to make durable.
    single_user(place, binaries, &cluster, &format!("CREATE DATABASE {NAME}"))?;
    fs::rename(&cluster, place.cluster())
        .and_then(|()| secret::sync_parent(&cluster))
        .map_err(StartError::at(place.cluster()))
}

/// Gives the superuser a new password, when the file with the old one is lost. No server may be running.
pub(crate) fn reset_password(place: &Place, binaries: &Binaries, password: &str) -> Result<(), StartError> {
    // The password is hexadecimal, and single-user mode reads it from a pipe that nobody else sees.
    single_user(place, binaries, &place.cluster(), &format!("ALTER ROLE {NAME} PASSWORD '{password}'"))
}

/// Runs one statement without a server.
fn single_user(place: &Place, binaries: &Binaries, cluster: &Path, statement: &str) -> Result<(), StartError> {
    let program = binaries.postgres();
    let unable =
        |source: io::Error| StartError::Run { program: program.clone(), account: place.account.name.clone(), source };
    let mut child = place
        .account
        .command(&program, &place.base)
        .args([
            "--single",
            "-c",
            "exit_on_error=on",
            "-c",
            "log_statement=none",
            "-c",
            "log_min_error_statement=panic",
            "-D",
        ])
        .arg(cluster)
        .arg("postgres")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(unable)?;
    if let Some(mut stdin) = child.stdin.take() {
        // If it ended already, what it said tells more than this error.
        let _ = writeln!(stdin, "{statement};");
    }
    let output = child.wait_with_output().map_err(unable)?;
    succeeded(&program, &output)
}

fn succeeded(program: &Path, output: &Output) -> Result<(), StartError> {
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let text = if text.trim().is_empty() { output.status.to_string() } else { text.trim().to_owned() };
    Err(StartError::Initialise { program: program.to_owned(), output: text })
}
