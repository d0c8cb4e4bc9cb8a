//! The audit finds every kind of tampering, and names where.

use std::fmt::Write;

use event_store::{
    Witness,
    audit::{Finding, Known, Report, verify},
    signing,
};
use events::OrganizationId;
use uuid::Uuid;

use crate::{
    checkpoints::{checkpointer, log, log_many, sign, tamper},
    note::{add, written},
    world::{World, context, organization},
};

async fn audit(world: &World, known: &Known) -> Report {
    verify(&world.store, known, &mut |_| {}).await.expect("an audit")
}

fn positions(report: &Report, organization: OrganizationId) -> Vec<u64> {
    let mut found: Vec<u64> = report
        .findings
        .iter()
        .filter(|finding| finding.organization == Some(organization))
        .filter_map(|finding| finding.position)
        .collect();
    found.dedup();
    found
}

fn told(report: &Report) -> String {
    report.findings.iter().fold(String::new(), |mut text, finding| {
        let _ = writeln!(text, "{finding}");
        text
    })
}

/// Six events with a checkpoint after the third, and a neighbour whose log stays whole.
async fn logged() -> (World, OrganizationId) {
    let world = World::new().await;
    let organization = organization();
    let checkpointer = checkpointer(&world, None);
    log(&world, organization, 3).await;
    log(&world, crate::world::organization(), 2).await;
    sign(&world, &checkpointer).await;
    log(&world, organization, 3).await;
    sign(&world, &checkpointer).await;
    (world, organization)
}

#[tokio::test]
async fn an_untouched_log_is_sound() {
    let (world, organization) = logged().await;
    add(&world.store, &context(organization), Uuid::now_v7(), vec![written("not ordered yet")])
        .await
        .expect("an event");
    let mut shown = Vec::new();
    let report = verify(&world.store, &Known::default(), &mut |progress| shown.push(progress)).await.expect("an audit");
    assert_eq!(report.findings, []);
    assert_eq!((report.organizations, report.events, report.checkpoints, report.waiting), (2, 8, 3, 1));
    assert_eq!(report.unsigned, 0);
    assert_eq!(shown.last().map(|progress| (progress.done, progress.total)), Some((16, 16)));
    world.drain().await;
    let report = audit(&world, &Known::default()).await;
    assert_eq!((report.findings.len(), report.events, report.waiting, report.unsigned), (0, 9, 0, 1));
}

#[tokio::test]
async fn an_empty_log_is_sound() {
    assert_eq!(audit(&World::new().await, &Known::default()).await, Report::default());
}

#[tokio::test]
async fn every_change_to_what_is_stored_is_found_and_its_position_named() {
    let event = |position: i32| {
        format!("(select aggregate_id from log.entries where position = {position} and organization_id = $)")
    };
    for (what, statement, position) in [
        (
            "a byte of a payload",
            format!("update log.events set payload = replace(payload::text, 'note 1', 'note 7')::json where aggregate_id = {}", event(2)),
            2,
        ),
        (
            "a blank in a payload",
            format!("update log.events set payload = (payload::text || ' ')::json where aggregate_id = {}", event(4)),
            4,
        ),
        (
            "an actor",
            format!("update log.events set metadata = replace(metadata::text, 'writer', 'winner')::json where aggregate_id = {}", event(5)),
            5,
        ),
        (
            "a time by a microsecond",
            format!("update log.events set recorded_at = recorded_at + interval '1 microsecond' where aggregate_id = {}", event(1)),
            1,
        ),
        ("a type", format!("update log.events set event_type = 'Signed' where aggregate_id = {}", event(3)), 3),
        ("a type in the log", "update log.entries set event_type = 'Signed' where position = 3 and organization_id = $".into(), 3),
        ("an event deleted", format!("delete from log.events where aggregate_id = {}", event(6)), 6),
        ("a position deleted", "delete from log.entries where position = 2 and organization_id = $".into(), 2),
        (
            "two positions swapped",
            "update log.entries set position = -2 where position = 2 and organization_id = $;
             update log.entries set position = 2 where position = 3 and organization_id = $;
             update log.entries set position = 3 where position = -2 and organization_id = $"
                .into(),
            1,
        ),
        (
            "the tail cut off",
            format!(
                "delete from log.events where aggregate_id = {}; delete from log.entries where position = 6 and organization_id = $;
                 update log.heads set position = 5 where organization_id = $; update log.head set global_position = 7",
                event(6)
            ),
            6,
        ),
        (
            "all of it gone",
            "delete from log.events where organization_id = $; delete from log.entries where organization_id = $;
             delete from log.heads where organization_id = $"
                .into(),
            1,
        ),
        ("a checkpoint gone", "delete from log.checkpoints where number = 1 and organization_id = $".into(), 6),
        (
            "a checkpoint of another root",
            "update log.checkpoints set root = decode(repeat('00', 32), 'hex') where number = 1 and organization_id = $".into(),
            1,
        ),
        (
            "a signature",
            "update log.checkpoints set note = replace(note, E'\\n3\\n', E'\\n2\\n'), size = 2 where number = 1 and organization_id = $".into(),
            1,
        ),
        (
            "an event added behind the log's back",
            "insert into log.events select organization_id, aggregate_type, aggregate_id, stream_key, 2, event_type, event_version, payload,
                 metadata, recorded_at from log.events where organization_id = $ limit 1"
                .into(),
            0,
        ),
    ] {
        let (world, victim) = logged().await;
        let statement = statement.replace('$', &format!("'{victim}'"));
        let statement = statement.replace(
            "update log.entries set position = -2",
            "alter table log.entries drop constraint entries_position_check; update log.entries set position = -2",
        );
        tamper(&world, &statement).await;
        let report = audit(&world, &Known::default()).await;
        let found = positions(&report, victim);
        let text = told(&report);
        if position == 0 {
            assert!(text.contains("was never logged"), "{what}: {text}");
        } else {
            assert!(found.contains(&position), "{what}: {text}");
        }
        let others = report.findings.iter().filter(|finding| {
            finding.organization.is_some_and(|organization| organization != victim)
        });
        assert_eq!(others.count(), 0, "{what}: {text}");
    }
}

/// Whoever changes an event and its leaf alike is found out by what was signed; by tiles, where to within 256.
#[tokio::test]
async fn a_leaf_that_was_changed_with_its_event_is_found_by_its_tile_and_checkpoint() {
    let world = World::new().await;
    let victim = organization();
    let checkpointer = checkpointer(&world, None);
    for count in [300, 300] {
        log_many(&world, victim, count).await;
        sign(&world, &checkpointer).await;
    }
    let forge = "update log.events set payload = replace(payload::text, 'line 20\"', 'line 21\"')::json
         where sequence = 21 and aggregate_id = (select aggregate_id from log.entries where position = 321);
         update log.entries entry set leaf = sha256('\\x00'::bytea || convert_to(
             'propty-leaf-v1' || e'\\n' || event.organization_id || e'\\n' || event.aggregate_type || '/' || event.aggregate_id || e'\\n'
             || event.sequence || e'\\n' || event.event_type || ' v' || event.event_version || e'\\n'
             || to_char(event.recorded_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') || e'\\n'
             || encode(sha256(convert_to(event.payload::text, 'UTF8')), 'hex') || e'\\n'
             || encode(sha256(convert_to(event.metadata::text, 'UTF8')), 'hex') || e'\\n', 'UTF8'))
         from log.events event where event.aggregate_id = entry.aggregate_id and event.sequence = entry.sequence
             and entry.position = 321";
    tamper(&world, forge).await;
    let report = audit(&world, &Known::default()).await;
    assert_eq!(positions(&report, victim), [257, 301], "{}", told(&report));
    assert!(told(&report).contains("positions 301 to 600"), "{}", told(&report));
    assert!(told(&report).contains("positions 257 to 512"), "{}", told(&report));
    tamper(&world, "delete from log.tiles where index = 0").await;
    assert_eq!(positions(&audit(&world, &Known::default()).await, victim), [1, 257, 301]);
}

fn known(witness: &Witness) -> Known {
    Known { testimony: witness.read().expect("a file"), keys: Vec::new() }
}

#[tokio::test]
async fn an_old_backup_and_a_fork_are_found_by_the_file() {
    let world = World::new().await;
    let victim = organization();
    let folder = tempfile::tempdir().expect("a folder");
    let witness = Witness::new(folder.path().join("checkpoints"));
    let witnessed = checkpointer(&world, Some(witness.clone()));
    log(&world, victim, 3).await;
    sign(&world, &witnessed).await;
    log(&world, victim, 2).await;
    sign(&world, &witnessed).await;
    let report = audit(&world, &known(&witness)).await;
    assert_eq!((report.findings.len(), report.witnessed), (0, 2));
    let restore = format!(
        "delete from log.entries where position > 3; delete from log.checkpoints where size > 3;
         delete from log.events where not exists (select from log.entries entry where entry.aggregate_id = events.aggregate_id);
         update log.heads set position = 3 where organization_id = '{victim}'; update log.head set global_position = 3"
    );
    tamper(&world, &restore).await;
    assert_eq!(audit(&world, &Known::default()).await.findings, []);
    let report = audit(&world, &known(&witness)).await;
    assert_eq!(positions(&report, victim), [4], "{}", told(&report));
    assert!(told(&report).contains("line 2 of the checkpoints' file covers 5"), "{}", told(&report));
    // Another history, signed by a checkpointer that was not given the file.
    log(&world, victim, 4).await;
    sign(&world, &checkpointer(&world, None)).await;
    assert_eq!(audit(&world, &Known::default()).await.findings, []);
    let report = audit(&world, &known(&witness)).await;
    assert_eq!(positions(&report, victim), [4], "{}", told(&report));
    assert!(told(&report).contains("positions 4 to 5 are not those that line 2"), "{}", told(&report));
}

#[tokio::test]
async fn a_swapped_key_is_found() {
    let (world, victim) = logged().await;
    // The public half alone.
    tamper(&world, "update vault.signing_keys set public_key = decode(repeat('07', 32), 'hex')").await;
    let report = audit(&world, &Known::default()).await;
    assert!(
        report.findings.iter().any(|finding| matches!(finding, Finding { organization: None, .. })),
        "{}",
        told(&report)
    );
    assert_eq!(positions(&report, victim), [3, 6], "{}", told(&report));

    // Everything signed anew by somebody who has the master key too: only a key that is known from elsewhere tells.
    let (world, victim) = logged().await;
    let mut connection = world.pool().acquire().await.expect("a connection");
    let origin = signing::origin(&mut connection, victim).await.expect("an origin");
    let theirs = signing::public_keys(&mut connection).await.expect("keys")[0].vkey(&origin);
    let pinned = Known { keys: vec![theirs], ..Known::default() };
    assert_eq!(audit(&world, &pinned).await.findings, []);
    tamper(&world, "delete from log.checkpoints; delete from log.tiles; delete from vault.signing_keys").await;
    sign(&world, &checkpointer(&world, None)).await;
    assert_eq!(audit(&world, &Known::default()).await.findings, []);
    assert!(told(&audit(&world, &pinned).await).contains("no checkpoint is signed by the key that was given"));
}

#[tokio::test]
async fn a_rotation_that_the_former_key_did_not_sign_is_found() {
    let (world, victim) = logged().await;
    let keyring = world.store.keyring();
    signing::rotate(world.pool(), keyring).await.expect("another key");
    sign(&world, &checkpointer(&world, None)).await;
    assert_eq!(audit(&world, &Known::default()).await.findings, []);
    // The former key's line is taken out.
    tamper(
        &world,
        "update log.checkpoints set note = regexp_replace(note, E'\\n\\n[^\\n]*\\n', E'\\n\\n') where number = 3",
    )
    .await;
    let report = audit(&world, &Known::default()).await;
    assert_eq!(positions(&report, victim), [6], "{}", told(&report));
    assert!(told(&report).contains("without the former key's signature"), "{}", told(&report));
}

#[tokio::test]
async fn streams_without_gaps_are_part_of_it() {
    let world = World::new().await;
    let victim = organization();
    log_many(&world, victim, 3).await;
    sign(&world, &checkpointer(&world, None)).await;
    tamper(
        &world,
        "update log.entries set sequence = 9 where position = 3; update log.events set sequence = 9 where sequence = 3",
    )
    .await;
    let report = audit(&world, &Known::default()).await;
    assert_eq!(positions(&report, victim), [3], "{}", told(&report));
    assert!(told(&report).contains("version 9 follows version 2"), "{}", told(&report));
}
