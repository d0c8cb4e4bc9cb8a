//! The master key's file.

use std::{fs, os::unix::fs::PermissionsExt, sync::Barrier, thread};

use event_store::MasterKey;

#[test]
fn concurrent_first_starts_agree_on_one_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("master.key");
    let barrier = Barrier::new(8);
    let ids: Vec<String> = thread::scope(|scope| {
        let start = || {
            barrier.wait();
            MasterKey::load_or_create(&path).expect("a key").id().to_owned()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a result")).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(MasterKey::load_or_create(&path).expect("a key").id(), ids[0]);
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "something was left behind");
}

#[test]
fn half_a_key_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("master.key");
    fs::write(&path, "c2hvcnQ=").expect("a file");
    assert!(MasterKey::load_or_create(&path).is_err());
    assert_eq!(fs::read_to_string(&path).expect("a file"), "c2hvcnQ=");
}

#[test]
fn the_key_does_not_show_in_debug() {
    let key = MasterKey::parse("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").expect("a key");
    assert_eq!(format!("{key:?}"), format!("MasterKey {{ id: {:?}, .. }}", key.id()));
}
