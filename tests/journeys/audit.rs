//! The log as an auditor meets it: disclosed, checked by a stranger's program, and found out when it was changed.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use sqlx::Executor;

use crate::world::{Options, World};

/// Runs a subcommand that must end so; what it said.
async fn told(world: &World, args: &[&str], code: i32) -> String {
    let output = world.propty(args).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// What the verifier in Python says; it knows the file and, perhaps, a key.
fn python(file: &Path, key: Option<&str>) -> (Option<i32>, String) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify_bundle.py");
    let mut command = Command::new("python3");
    command.arg(program);
    if let Some(key) = key {
        command.args(["--key", key]);
    }
    let output = command.arg(file).output().expect("Python 3 runs");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// The current key of the first community's log.
async fn vkey(world: &World) -> String {
    let keys = told(world, &["audit", "key"], 0).await;
    let of = format!("/{}+", world.first.id);
    let line = keys.lines().find(|line| line.contains(&of)).unwrap_or_else(|| panic!("no key: {keys}"));
    line.split(' ').next().unwrap_or_default().to_owned()
}

async fn bundle(world: &World, name: &str) -> (PathBuf, String) {
    let path = world.folder().join(name);
    let (resident, out) = (world.first.resident("Ana").id.to_string(), path.display().to_string());
    told(world, &["audit", "bundle", "--resident", &resident, "--out", &out], 0).await;
    (path, out)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resident_is_disclosed_with_proof_and_tampering_is_named() {
    let world = World::start(Options::default()).await;
    let ana = world.first.resident("Ana");
    world.first.publish(ana, 12_500, true).await;
    world.assert_invariants().await;

    let key = vkey(&world).await;
    let (path, file) = bundle(&world, "ana.bundle").await;
    let said = told(&world, &["audit", "verify", &file, "--key", &key], 0).await;
    assert!(said.contains(&ana.id.to_string()) && said.contains(&key), "{said}");
    for pinned in [None, Some(&*key)] {
        let (code, said) = python(&path, pinned);
        assert_eq!(code, Some(0), "{said}");
    }
    let text = std::fs::read_to_string(&path).expect("a bundle");
    let forged = world.folder().join("forged.bundle");
    std::fs::write(&forged, text.replacen("ResidentRegistered", "ResidentRegistrar", 1)).expect("a file");
    let said = told(&world, &["audit", "verify", &forged.display().to_string()], 1).await;
    assert!(said.contains("NOT SOUND  line "), "{said}");
    assert_eq!(python(&forged, None).0, Some(1));

    // What was signed before stays signed, and both keys vouch for what follows.
    told(&world, &["audit", "rotate-key"], 0).await;
    let latter = vkey(&world).await;
    assert_ne!(key, latter);
    world.first.publish(ana, 700, false).await;
    world.settle().await;
    let said = told(&world, &["audit", "verify", "--key", &key], 0).await;
    assert!(said.contains("everything is as it was logged and signed"), "{said}");
    let (path, _) = bundle(&world, "later.bundle").await;
    assert_eq!(python(&path, Some(&latter)).0, Some(0));

    let organization = world.first.id;
    let mut superuser = world.database.acquire().await.expect("a connection");
    superuser.execute("set session_replication_role = replica").await.expect("no triggers");
    let change = format!(
        "update log.events event set recorded_at = recorded_at + interval '1 second' from log.entries entry
         where entry.organization_id = '{organization}' and entry.position = 2 and event.aggregate_type = entry.aggregate_type
             and event.aggregate_id = entry.aggregate_id and event.sequence = entry.sequence"
    );
    superuser.execute(&*change).await.expect("a change");
    superuser.execute("reset session_replication_role").await.expect("triggers");
    let said = told(&world, &["audit", "verify"], 1).await;
    assert!(said.contains(&format!("TAMPERED  organization {organization}, position 2: ")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_in_words() {
    let world = World::start(Options::default()).await;
    let nobody = uuid::Uuid::now_v7().to_string();
    let out = world.folder().join("nobody.bundle").display().to_string();
    for args in [
        vec!["audit", "verify", "/nonexistent/bundle"],
        vec!["audit", "verify", "--checkpoints", "/nonexistent/file"],
        vec!["audit", "bundle", "--resident", &nobody, "--out", &out],
    ] {
        let output = world.propty(&args).await;
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.starts_with("propty: ") && said.lines().count() == 1, "{args:?}: {said}");
    }
    assert!(!Path::new(&out).exists());
    world.assert_invariants().await;
}
