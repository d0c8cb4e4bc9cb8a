//! Starting, stopping, and who else may.

use std::{fs, os::unix::fs::MetadataExt as _, os::unix::fs::PermissionsExt as _};

use embedded_postgres::StartError;

use crate::fixture::{Fixture, ask, is_root, lives};

#[test]
fn data_survive_a_stop_and_a_second_start() {
    let fixture = Fixture::new();
    let server = fixture.start();
    ask(&server.connect_options(), &["create table kept (word text)", "insert into kept values ('here')"]);
    let pid = server.pid();
    server.stop().expect("a stop");
    assert!(!lives(pid));
    assert!(fixture.noted_pid().is_none(), "a clean stop leaves no note of a process");

    let server = fixture.start();
    assert!(!server.was_adopted());
    assert_eq!(ask(&server.connect_options(), &["select word from kept"]).as_deref(), Some("here"));
}

#[test]
fn the_server_is_private_durable_and_plain() {
    let mut fixture = Fixture::new();
    // None of these may be weakened.
    for (name, value) in
        [("fsync", "off"), ("synchronous_commit", "off"), ("listen_addresses", "127.0.0.1"), ("max_connections", "33")]
    {
        fixture.settings.parameters.push((name.into(), value.into()));
    }
    let server = fixture.start();
    let connection = server.connect_options();
    for (setting, wanted) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("listen_addresses", ""),
        ("max_connections", "33"),
        ("server_encoding", "UTF8"),
        ("password_encryption", "scram-sha-256"),
        ("unix_socket_permissions", "0700"),
    ] {
        assert_eq!(
            ask(&connection, &[&format!("select current_setting('{setting}')")]).as_deref(),
            Some(wanted),
            "{setting}"
        );
    }
    assert_eq!(
        ask(&connection, &["select datcollate || ' ' || datctype from pg_database where datname = 'propty'"])
            .as_deref(),
        Some("C C")
    );

    let mode = |path: &std::path::Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&connection.socket_dir), 0o700);
    assert_eq!(mode(&fixture.cluster()), 0o700);
    assert_eq!(mode(&fixture.home().join("password")), 0o600);
    let rules = fs::read_to_string(fixture.cluster().join("pg_hba.conf")).expect("the rules");
    assert!(
        rules
            .lines()
            .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
            .all(|line| line.ends_with("scram-sha-256")),
        "{rules}"
    );
    let environment = fs::read(format!("/proc/{}/environ", server.pid())).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&environment).contains("CARGO"), "the server inherits our environment");
    if is_root() {
        assert_ne!(fs::metadata(fixture.cluster()).expect("the cluster").uid(), 0);
        assert_eq!(
            fs::metadata(&fixture.settings.data_dir).expect("the folder").uid(),
            0,
            "only the database's own folders are given away"
        );
    } else {
        println!("not root: the account of the server is not checked");
    }
}

#[test]
fn a_wrong_password_is_refused() {
    let fixture = Fixture::new();
    let server = fixture.start();
    let mut connection = server.connect_options();
    connection.password = "0".repeat(64);
    assert!(std::panic::catch_unwind(|| ask(&connection, &["select 'in'"])).is_err());
}

#[test]
fn a_second_instance_is_refused_and_told_who_is_first() {
    let fixture = Fixture::new();
    let _server = fixture.start();
    match fixture.try_start() {
        Err(error @ StartError::InUse { pid: Some(pid), .. }) => {
            assert_eq!(pid, std::process::id());
            assert!(error.to_string().contains(&format!("process {pid}")));
        }
        other => panic!("the second instance was not refused: {other:?}"),
    }
}

#[test]
fn a_lost_password_is_replaced() {
    let fixture = Fixture::new();
    let before = fixture.start().connect_options().password;
    fs::remove_file(fixture.home().join("password")).expect("a removed file");
    let server = fixture.start();
    assert_ne!(server.connect_options().password, before);
    assert_eq!(ask(&server.connect_options(), &["select 'in'"]).as_deref(), Some("in"));
}

#[test]
fn a_server_that_a_setting_breaks_is_an_error_with_its_log() {
    let mut fixture = Fixture::new();
    fixture.settings.parameters.push(("shared_buffers".into(), "nonsense".into()));
    match fixture.try_start() {
        Err(StartError::Ended { tail, .. }) => assert!(tail.contains("shared_buffers"), "{tail}"),
        other => panic!("a broken setting was accepted: {other:?}"),
    }
}
