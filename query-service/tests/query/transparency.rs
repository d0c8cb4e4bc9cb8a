//! Checkpoints and proofs over HTTP: an outsider can check them with nothing else.

use base64::{Engine, engine::general_purpose::STANDARD};
use events::OrganizationEvent;
use serde_json::{Value, json};
use transparency::{Checkpoint, Hash, Note, Vkey, proof};

use crate::{
    community::{ORGANIZATION, community},
    world::World,
};

fn hash(value: &Value) -> Hash {
    let bytes = STANDARD.decode(value.as_str().unwrap_or_default()).expect("base64");
    bytes.try_into().expect("32 bytes")
}

fn hashes(value: &Value) -> Vec<Hash> {
    value.as_array().expect("hashes").iter().map(hash).collect()
}

/// The world with a second checkpoint.
async fn grown() -> World {
    let world = community().await;
    world
        .append::<OrganizationEvent>(ORGANIZATION, 0xe1, 0, &[json!({ "OrganizationRegistered": { "name": "More" } })])
        .await;
    world.settle().await;
    world.sign().await;
    world
}

#[tokio::test]
async fn a_checkpoint_verifies_with_the_keys_that_are_shown() {
    let world = grown().await;
    for who in ["manager", "auditor"] {
        let keys = world.get(who, "/v1/log/keys").await.json();
        let vkeys: Vec<Vkey> = keys["keys"]
            .as_array()
            .expect("keys")
            .iter()
            .map(|key| key["vkey"].as_str().unwrap_or_default().parse().expect("a key"))
            .collect();
        let shown = world.get(who, "/v1/log/checkpoint").await.json();
        let note = Note::parse(shown["note"].as_str().unwrap_or_default()).expect("a note");
        assert_eq!(note.verify(&vkeys).map(|signers| signers.len()), Ok(1));
        let checkpoint = Checkpoint::parse(note.text()).expect("a checkpoint");
        assert_eq!(shown["size"], checkpoint.size);
        assert_eq!((hash(&shown["root"]), keys["origin"].as_str()), (checkpoint.root, Some(&*checkpoint.origin)));
    }
    let ours = world.get("manager", "/v1/log/checkpoint").await.json();
    let theirs = world.get("stranger", "/v1/log/checkpoint").await.json();
    assert_ne!((&ours["root"], &ours["size"]), (&theirs["root"], &theirs["size"]));
}

#[tokio::test]
async fn proofs_hold_and_answer_for_what_was_signed() {
    let world = grown().await;
    let size = world.get("auditor", "/v1/log/checkpoint").await.json()["size"].as_u64().expect("a size");
    for position in [1, 2, size / 2, size - 1, size] {
        for size in [size, position] {
            let uri = format!("/v1/log/proofs/inclusion?position={position}&size={size}");
            let shown = world.get("auditor", &uri).await.json();
            let (leaf, root) = (hash(&shown["leaf"]), hash(&shown["root"]));
            assert!(proof::verify_inclusion(&leaf, position - 1, size, &hashes(&shown["hashes"]), &root), "{uri}");
        }
    }
    let by_default = world.get("auditor", "/v1/log/proofs/consistency").await.json();
    assert_eq!((by_default["from"].as_u64(), by_default["to"].as_u64()), (Some(size - 1), Some(size)));
    for (from, to) in [(1, size), (size - 1, size), (2, 7), (size, size)] {
        let shown = world.get("auditor", &format!("/v1/log/proofs/consistency?from={from}&to={to}")).await.json();
        let (old, new) = (hash(&shown["from_root"]), hash(&shown["to_root"]));
        assert!(proof::verify_consistency(from, to, &hashes(&shown["hashes"]), &old, &new), "{from} to {to}");
    }
}

#[tokio::test]
async fn what_cannot_be_proved_is_refused_by_name() {
    let world = grown().await;
    let size = world.get("auditor", "/v1/log/checkpoint").await.json()["size"].as_u64().expect("a size");
    for (query, status, parameter) in [
        ("inclusion?position=0".to_owned(), 422, "position"),
        (format!("inclusion?position={}", size + 1), 422, "position"),
        ("inclusion?position=5&size=4".to_owned(), 422, "position"),
        (format!("inclusion?size={}", size + 1), 422, "size"),
        ("inclusion?size=0".to_owned(), 422, "size"),
        ("inclusion?size=-1".to_owned(), 422, "size"),
        ("inclusion?position=9223372036854775808".to_owned(), 422, "position"),
        ("inclusion?position=x".to_owned(), 422, "position"),
        ("consistency?from=0".to_owned(), 422, "from"),
        ("consistency?from=5&to=4".to_owned(), 422, "from"),
        ("consistency?to=9223372036854775807".to_owned(), 422, "to"),
        ("consistency?colour=red".to_owned(), 422, "colour"),
    ] {
        let answer = world.get("auditor", &format!("/v1/log/proofs/{query}")).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.json()["parameter"], parameter, "{query}");
    }
}

#[tokio::test]
async fn checkpoints_are_paged_in_both_orders() {
    let world = grown().await;
    let numbers = |body: &Value| -> Vec<i64> {
        body["items"].as_array().expect("items").iter().filter_map(|item| item["number"].as_i64()).collect()
    };
    for (sort, expected) in [("number", [1, 2]), ("-number", [2, 1])] {
        let uri = format!("/v1/log/checkpoints?limit=1&sort={sort}");
        let first = world.get("auditor", &uri).await.json();
        let cursor = first["next_cursor"].as_str().expect("another page");
        let second = world.get("auditor", &format!("{uri}&cursor={cursor}")).await.json();
        assert_eq!([numbers(&first), numbers(&second)].concat(), expected);
        assert!(second.get("next_cursor").is_none());
    }
}

#[tokio::test]
async fn before_the_first_checkpoint_there_is_nothing_to_prove() {
    let world = World::new().await;
    world.token(ORGANIZATION, 0x801, "auditor", events::Role::ComplianceAuditor, None).await;
    world.settle().await;
    for path in ["checkpoint", "proofs/inclusion", "proofs/consistency"] {
        assert_eq!(world.get("auditor", &format!("/v1/log/{path}")).await.status, 404, "{path}");
    }
    assert_eq!(world.get("auditor", "/v1/log/checkpoints").await.items("note").len(), 0);
}
