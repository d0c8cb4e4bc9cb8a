//! The master key replaced while the service runs, by the environment and by files; and what is said when it is wrong or missing.

use std::{fs, process::Output};

use serde_json::json;
use uuid::Uuid;

use crate::{
    privacy::move_in,
    world::{MASTER_KEY, Options, World, run},
};

const NEXT: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn with_keys(world: &World, args: &[&str], key: Option<&str>, next: Option<&str>) -> Output {
    let mut command = world.command(args);
    for (name, value) in [("PROPTY_MASTER_KEY", key), ("PROPTY_NEXT_MASTER_KEY", next)] {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    run(command).await
}

/// The keys that were set aside.
fn formers(world: &World) -> Vec<String> {
    let entries = fs::read_dir(world.folder()).expect("a folder").flatten();
    let former = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("master.key.former"));
    former.map(|entry| fs::read_to_string(entry.path()).expect("a key")).collect()
}

fn person() -> serde_json::Value {
    json!({ "name": { "first": "Bettina", "last": "Oxenford" }, "email": "bettina@example.com" })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_goes_on_while_its_master_key_is_replaced_and_needs_only_the_new_one_afterwards() {
    let env = vec![("PROPTY_NEXT_MASTER_KEY".to_owned(), NEXT.to_owned())];
    let world = World::start(Options { env, ..Options::default() }).await;
    let before = move_in(&world, "Attic 5", person()).await;
    let client = world.sign_in(&before).await;

    let early = with_keys(&world, &["keys", "rotate"], Some(MASTER_KEY), None).await;
    assert!(!early.status.success() && said(&early).contains("PROPTY_NEXT_MASTER_KEY"), "{}", said(&early));
    let rotated = with_keys(&world, &["keys", "rotate"], Some(MASTER_KEY), Some(NEXT)).await;
    assert!(rotated.status.success() && said(&rotated).contains("wraps everything now"), "{}", said(&rotated));

    // Sessions, names, new people, signatures: all goes on, before and after a restart.
    for label in ["Attic 6", "Attic 7"] {
        assert_eq!(client.get("/v1/me").await["role"], "Resident");
        let path = format!("/v1/residents/{}", before.id);
        assert_eq!(world.first.manager.get(&path).await["last_name"], "Oxenford");
        move_in(&world, label, person()).await;
        world.stop().await;
        world.restart().await;
    }
    let status = with_keys(&world, &["status"], Some(NEXT), None).await;
    let told = said(&status);
    let lines: Vec<&str> = told.lines().filter(|line| line.starts_with("master key")).collect();
    assert!(status.status.success() && lines.len() == 1 && lines[0].ends_with("keys"), "{told}");
    let verified = with_keys(&world, &["audit", "verify"], Some(NEXT), None).await;
    assert!(verified.status.success(), "{}", said(&verified));
    let file = world.folder().join("rotated.bundle").display().to_string();
    let bundle = ["audit", "bundle", "--resident", &before.id.to_string(), "--out", &file];
    let bundle = with_keys(&world, &bundle, Some(NEXT), None).await;
    assert!(bundle.status.success(), "{}", said(&bundle));
    assert!(with_keys(&world, &["audit", "verify", &file], None, None).await.status.success());
    assert!(fs::read_to_string(&file).expect("a bundle").contains("Oxenford"));

    let former = with_keys(&world, &["status"], Some(MASTER_KEY), None).await;
    assert!(!former.status.success() && said(&former).contains("is not the one that"), "{}", said(&former));
    let back = with_keys(&world, &["keys", "rotate"], Some(NEXT), Some(MASTER_KEY)).await;
    assert!(!back.status.success() && said(&back).contains("replaced before"), "{}", said(&back));
    world.settle().await;
    world.assert_log().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_a_file_is_replaced_in_its_place_and_a_missing_one_is_never_made_up() {
    let world = World::start(Options::default()).await;
    world.stop().await;
    let file = |name: &str| world.folder().join(name);
    let missing = with_keys(&world, &["status"], None, None).await;
    assert!(!missing.status.success() && said(&missing).contains("there is no master key"), "{}", said(&missing));
    assert!(!file("master.key").exists(), "a new key would only be in the way of the right one");
    fs::write(file("master.key"), NEXT).expect("a wrong key");
    let wrong = with_keys(&world, &["status"], None, None).await;
    assert!(!wrong.status.success() && said(&wrong).contains("is not the one that"), "{}", said(&wrong));

    fs::write(file("master.key"), MASTER_KEY).expect("the key");
    // As if a rotation had been interrupted when it had just made the new key.
    fs::write(file("master.key.next"), NEXT).expect("the next key");
    let rotate = ["keys", "rotate", "--only-this-host"];
    let alone = with_keys(&world, &["keys", "rotate"], None, None).await;
    assert!(!alone.status.success() && said(&alone).contains("--only-this-host"), "{}", said(&alone));
    // Whoever comes second while another is at it changes nothing, neither keys nor files.
    let mut other = world.database.acquire().await.expect("a connection");
    let lock = |what: &str| format!("select pg_advisory_{what}(hashtext('propty keys'))");
    sqlx::query(&lock("lock")).execute(&mut *other).await.expect("a lock");
    let second = with_keys(&world, &rotate, None, None).await;
    assert!(!second.status.success() && said(&second).contains("by somebody else"), "{}", said(&second));
    let text = |name: &str| fs::read_to_string(file(name)).unwrap_or_default();
    assert_eq!((text("master.key"), text("master.key.next")), (MASTER_KEY.to_owned(), NEXT.to_owned()));
    sqlx::query(&lock("unlock")).execute(&mut *other).await.expect("no lock");

    let rotated = with_keys(&world, &rotate, None, None).await;
    assert!(rotated.status.success(), "{}", said(&rotated));
    assert_eq!((text("master.key"), formers(&world)), (NEXT.to_owned(), vec![MASTER_KEY.to_owned()]));
    assert!(!file("master.key.next").exists());
    // As if it had been interrupted before its last step.
    fs::rename(file("master.key"), file("master.key.next")).expect("a step back");
    let finished = with_keys(&world, &rotate, None, None).await;
    assert!(finished.status.success(), "{}", said(&finished));
    assert_eq!(text("master.key"), NEXT);
    // Another rotation keeps the former key of the first.
    let again = with_keys(&world, &rotate, None, None).await;
    assert!(again.status.success(), "{}", said(&again));
    let kept = formers(&world);
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept.contains(&NEXT.to_owned()) && kept.contains(&MASTER_KEY.to_owned()) && text("master.key") != NEXT);
    for entry in fs::read_dir(world.folder()).expect("a folder").flatten() {
        if entry.file_name().to_string_lossy().starts_with("master.key.former") {
            fs::remove_file(entry.path()).expect("a former key");
        }
    }
    let status = with_keys(&world, &["keys", "status"], None, None).await;
    assert!(status.status.success() && said(&status).contains("it wraps what is new"), "{}", said(&status));
    let verified = with_keys(&world, &["audit", "verify"], None, None).await;
    assert!(verified.status.success(), "{}", said(&verified));
    let unknown = Uuid::now_v7().to_string();
    assert!(
        !with_keys(&world, &["privacy", "verify-erased", "--resident", &unknown], None, None).await.status.success()
    );
}
