//! Folders that make it hard: closed above, long, odd, of another version.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use embedded_postgres::{Server, StartError};

use crate::fixture::{Fixture, ask, is_root};

/// Removes what root's fallback put outside the test's own folder.
struct Elsewhere(std::path::PathBuf);

impl Drop for Elsewhere {
    fn drop(&mut self) {
        if self.0.starts_with("/var/lib/propty") {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
}

#[test]
fn below_a_closed_folder_root_keeps_the_database_elsewhere_and_says_so() {
    if !is_root() {
        println!("not root: skipped");
        return;
    }
    let fixture = Fixture::new().below("closed/data");
    let closed = fixture.folder().join("closed");
    fs::create_dir(&closed).expect("a folder");
    mode(&closed, 0o700);

    let mut notices = Vec::new();
    let server = Server::start(&fixture.settings, &mut |text| notices.push(text.to_owned())).expect("a started server");
    let elsewhere = Elsewhere(server.folder().to_owned());
    assert!(elsewhere.0.starts_with("/var/lib/propty"), "{}", elsewhere.0.display());
    assert!(notices.iter().any(|text| text.contains(&*elsewhere.0.to_string_lossy())), "{notices:?}");
    ask(&server.connect_options(), &["create table kept (word text)", "insert into kept values ('here')"]);
    assert!(matches!(fixture.try_start(), Err(StartError::InUse { .. })));
    drop(server);

    // It stays there, even when the way is open.
    mode(&closed, 0o755);
    let server = fixture.start();
    assert_eq!(server.folder(), elsewhere.0);
    assert_eq!(ask(&server.connect_options(), &["select word from kept"]).as_deref(), Some("here"));
    drop(server);

    // A data folder made anew does not find its predecessor's database.
    fs::remove_dir_all(&fixture.settings.data_dir).expect("a removed folder");
    mode(&closed, 0o700);
    let server = fixture.start();
    let anew = Elsewhere(server.folder().to_owned());
    assert_ne!(anew.0, elsewhere.0);
    drop(server);
    fs::remove_dir_all(&anew.0).expect("a removed folder");
    assert!(matches!(fixture.try_start(), Err(StartError::Gone { .. })));
}

#[test]
fn a_database_that_has_become_unreachable_is_not_begun_anew() {
    if !is_root() {
        println!("not root: skipped");
        return;
    }
    let fixture = Fixture::new().below("closed/data");
    fixture.start().stop().expect("a stop");
    mode(&fixture.folder().join("closed"), 0o700);
    assert!(matches!(fixture.try_start(), Err(StartError::CannotEnter { .. })));
}

#[test]
fn a_path_of_150_characters_gets_a_short_socket() {
    let fixture = Fixture::new();
    let missing = 150 - fixture.folder().as_os_str().len() - 1;
    let fixture = fixture.below(&"d".repeat(missing));
    assert_eq!(fixture.settings.data_dir.as_os_str().len(), 150);
    let server = fixture.start();
    let connection = server.connect_options();
    assert!(
        connection.socket_dir.join(".s.PGSQL.5432").as_os_str().len() <= 107,
        "{}",
        connection.socket_dir.display()
    );
    assert_eq!(fs::metadata(&connection.socket_dir).expect("a directory").permissions().mode() & 0o777, 0o700);
    assert_eq!(ask(&connection, &["select 'in'"]).as_deref(), Some("in"));
    server.stop().expect("a stop");
    assert!(!connection.socket_dir.exists(), "the directory outside the data folder is left behind");
}

#[test]
fn an_orphan_in_a_long_path_is_adopted() {
    let fixture = Fixture::new().below(&"d".repeat(120));
    let mut parent = fixture.parent("wait");
    parent.kill().expect("a killed parent");
    parent.wait().expect("its end");
    let server = fixture.start();
    assert!(server.was_adopted());
}

#[test]
fn a_path_with_odd_characters_works() {
    let fixture = Fixture::new().below("Büro 3, \"Haus\" 'B' %41?&#");
    let server = fixture.start();
    assert_eq!(ask(&server.connect_options(), &["select 'in'"]).as_deref(), Some("in"));
}

#[test]
fn a_database_of_another_version_is_refused_with_the_way_out() {
    let fixture = Fixture::new();
    fixture.start().stop().expect("a stop");
    fs::write(fixture.cluster().join("PG_VERSION"), "99\n").expect("a forged version");
    match fixture.try_start() {
        Err(error @ StartError::OtherVersion { cluster: 99, .. }) => {
            let text = error.to_string();
            assert!(
                text.contains("PostgreSQL 99") && text.contains("pg_upgrade") && text.contains("PROPTY_POSTGRES_BIN"),
                "{text}"
            );
        }
        other => panic!("another version was accepted: {other:?}"),
    }
}

#[test]
fn a_folder_that_is_no_database_is_refused_and_left_alone() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.cluster()).expect("a folder");
    fs::write(fixture.cluster().join("mine.txt"), "mine").expect("a file");
    if is_root() {
        mode(&fixture.home(), 0o755);
    }
    assert!(matches!(fixture.try_start(), Err(StartError::NotACluster { .. })));
    assert!(fixture.cluster().join("mine.txt").exists());
}
