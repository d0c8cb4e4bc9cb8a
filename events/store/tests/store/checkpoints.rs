//! Checkpoints: they grow with the log, prove what they cover, and are never signed over a log that has changed.

use std::time::Duration;

use event_store::{Checkpointer, Witness, checkpointer::Round, checkpoints, lease::Lease, signing, tree};
use events::OrganizationId;
use sqlx::Executor;
use transparency::{Checkpoint, Note, proof};
use uuid::Uuid;

use crate::{
    note::{add, written},
    world::{World, context, organization},
};

/// Logs so many events of an organization, each in a stream of its own.
pub async fn log(world: &World, organization: OrganizationId, count: usize) {
    for number in 0..count {
        add(&world.store, &context(organization), Uuid::now_v7(), vec![written(format!("note {number}"))])
            .await
            .expect("an event");
    }
    world.drain().await;
}

/// Logs many events at once.
pub async fn log_many(world: &World, organization: OrganizationId, count: usize) {
    let events = (0..count).map(|number| written(format!("line {number}"))).collect();
    add(&world.store, &context(organization), Uuid::now_v7(), events).await.expect("events");
    world.drain().await;
}

pub fn checkpointer(world: &World, witness: Option<Witness>) -> Checkpointer {
    Checkpointer::new(world.pool().clone(), world.store.keyring().clone(), witness)
}

/// One step of a checkpointer.
pub async fn sign(world: &World, checkpointer: &Checkpointer) -> Round {
    world.expire_leases().await;
    let lease = Lease::acquire(world.pool(), "checkpointer", Uuid::now_v7()).await.expect("an answer");
    let lease = lease.expect("a free lease");
    let round = checkpointer.step(&lease).await.expect("a step").expect("a held lease");
    lease.release(world.pool()).await.expect("a release");
    round
}

/// Runs statements that nobody may, as somebody who has the whole server.
pub async fn tamper(world: &World, statements: &str) {
    let mut superuser = world.superuser().await;
    let script = format!("set session_replication_role = replica; {statements}");
    superuser.execute(&*script).await.expect("a tampered log");
}

async fn latest(world: &World, organization: OrganizationId) -> checkpoints::Signed {
    let mut connection = world.pool().acquire().await.expect("a connection");
    checkpoints::latest(&mut connection, organization, None).await.expect("an answer").expect("a checkpoint")
}

#[tokio::test]
async fn a_checkpoint_covers_the_log_and_is_signed_once() {
    let world = World::new().await;
    let (one, other) = (organization(), organization());
    log(&world, one, 3).await;
    log(&world, other, 2).await;
    let checkpointer = checkpointer(&world, None);
    let mut signed = sign(&world, &checkpointer).await.signed;
    signed.sort_unstable_by_key(|(_, size)| *size);
    assert_eq!(signed, [(other, 2), (one, 3)]);
    assert_eq!(sign(&world, &checkpointer).await, Round::default());
    log(&world, one, 1).await;
    assert_eq!(sign(&world, &checkpointer).await.signed, [(one, 4)]);

    let found = latest(&world, one).await;
    assert_eq!((found.number, found.size), (2, 4));
    let mut connection = world.pool().acquire().await.expect("a connection");
    let origin = signing::origin(&mut connection, one).await.expect("an origin");
    let keys = signing::public_keys(&mut connection).await.expect("keys");
    assert_eq!(keys.len(), 1);
    let note = Note::parse(&found.note).expect("a note");
    assert_eq!(note.verify(&[keys[0].vkey(&origin)]).map(|signers| signers.len()), Ok(1));
    let checkpoint = Checkpoint::parse(note.text()).expect("a checkpoint");
    assert_eq!((checkpoint.size, checkpoint.root, checkpoint.organization()), (4, found.root, Some(one.0)));
}

#[tokio::test]
async fn proofs_hold_across_tiles() {
    let world = World::new().await;
    let organization = organization();
    let checkpointer = checkpointer(&world, None);
    let mut roots = Vec::new();
    for count in [1, 255, 1, 300, 211] {
        log_many(&world, organization, count).await;
        assert_eq!(sign(&world, &checkpointer).await.refused, []);
        let found = latest(&world, organization).await;
        roots.push((found.size, found.root));
    }
    assert_eq!(roots.iter().map(|(size, _)| *size).collect::<Vec<_>>(), [1, 256, 257, 557, 768]);
    assert_eq!(world.count("select count(*) from log.tiles where level = 1").await, 3);
    let mut connection = world.pool().acquire().await.expect("a connection");
    for (size, root) in &roots {
        for position in [1, 2, 255, 256, 257, 300, 512, 556, 557, 768].into_iter().filter(|position| position <= size) {
            let proof = tree::inclusion(&mut connection, organization, position, *size).await.expect("an answer");
            let leaf: Vec<u8> = sqlx::query_scalar("select leaf from log.entries where position = $1")
                .bind(i64::try_from(position).expect("a position"))
                .fetch_one(&mut *connection)
                .await
                .expect("a leaf");
            let leaf = leaf.try_into().expect("32 bytes");
            let proof = proof.expect("a proof");
            assert!(proof::verify_inclusion(&leaf, position - 1, *size, &proof, root), "{position} in {size}");
        }
        assert_eq!(tree::inclusion(&mut connection, organization, size + 1, *size).await.expect("an answer"), None);
        assert_eq!(tree::inclusion(&mut connection, organization, 0, *size).await.expect("an answer"), None);
        for (from, old) in roots.iter().filter(|(from, _)| from <= size) {
            let proof = tree::consistency(&mut connection, organization, *from, *size).await.expect("an answer");
            assert!(proof::verify_consistency(*from, *size, &proof.expect("a proof"), old, root), "{from} to {size}");
        }
    }
    let foreign = crate::world::organization();
    assert_eq!(tree::inclusion(&mut connection, foreign, 1, 2).await.expect("an answer"), None);
}

#[tokio::test]
async fn the_first_checkpoint_after_a_rotation_has_both_signatures() {
    let world = World::new().await;
    let organization = organization();
    let checkpointer = checkpointer(&world, None);
    log(&world, organization, 2).await;
    sign(&world, &checkpointer).await;
    let first = signing::current(world.pool(), world.store.keyring()).await.expect("a key");
    let second = signing::rotate(world.pool(), world.store.keyring()).await.expect("another key");
    assert_ne!(first, second);
    // Nothing was logged since: the key alone is a reason.
    assert_eq!(sign(&world, &checkpointer).await.signed, [(organization, 2)]);
    log(&world, organization, 1).await;
    assert_eq!(sign(&world, &checkpointer).await.signed, [(organization, 3)]);
    let mut connection = world.pool().acquire().await.expect("a connection");
    let origin = signing::origin(&mut connection, organization).await.expect("an origin");
    let keys: Vec<_> =
        signing::public_keys(&mut connection).await.expect("keys").iter().map(|key| key.vkey(&origin)).collect();
    let all = checkpoints::page(&mut connection, organization, None, false, 10).await.expect("checkpoints");
    let signers: Vec<usize> = all
        .iter()
        .map(|signed| Note::parse(&signed.note).expect("a note").verify(&keys).expect("signatures").len())
        .collect();
    assert_eq!(signers, [1, 2, 1]);
    assert_eq!(all.iter().map(|signed| signed.key_id).collect::<Vec<_>>(), [first, second, second]);
}

#[tokio::test]
async fn a_changed_or_truncated_log_is_refused_and_the_others_go_on() {
    for (what, statement, position) in [
        (
            "changed",
            "update log.entries set leaf = decode(repeat('00', 32), 'hex') where position = 2 and organization_id = $",
            4,
        ),
        ("removed", "delete from log.entries where position = 2 and organization_id = $", 4),
        (
            "truncated",
            "delete from log.entries where position > 3 and organization_id = $; update log.heads set position = 3 where organization_id = $",
            4,
        ),
    ] {
        let world = World::new().await;
        let (victim, other) = (organization(), organization());
        let first = checkpointer(&world, None);
        log(&world, victim, 4).await;
        sign(&world, &first).await;
        tamper(&world, &statement.replace('$', &format!("'{victim}'"))).await;
        // With an event more, for there to be something to sign.
        if what != "truncated" {
            log(&world, victim, 1).await;
        }
        log(&world, other, 1).await;
        // This process remembers; another knows the database alone.
        for checkpointer in [&first, &checkpointer(&world, None)] {
            let round = sign(&world, checkpointer).await;
            assert_eq!(round.refused.len(), 1, "{what}");
            assert_eq!((round.refused[0].organization, round.refused[0].position), (victim, position), "{what}");
        }
        assert_eq!(latest(&world, other).await.size, 1);
        assert_eq!(latest(&world, victim).await.size, 4);
        assert_eq!(world.count("select count(*) from engine.checkpoint_refusals").await, 1);
    }
}

#[tokio::test]
async fn an_old_backup_is_refused_by_whoever_has_the_file() {
    let world = World::new().await;
    let organization = organization();
    let folder = tempfile::tempdir().expect("a folder");
    let file = || Some(Witness::new(folder.path().join("checkpoints")));
    log(&world, organization, 3).await;
    let lasting = checkpointer(&world, file());
    sign(&world, &lasting).await;
    log(&world, organization, 2).await;
    sign(&world, &checkpointer(&world, file())).await;
    // As a backup taken between the two would have it, checkpoints included.
    let restore = format!(
        "delete from log.entries where position > 3; delete from log.checkpoints where size > 3;
         delete from log.events where not exists (select from log.entries entry where entry.aggregate_id = events.aggregate_id);
         update log.heads set position = 3 where organization_id = '{organization}'; update log.head set global_position = 3"
    );
    tamper(&world, &restore).await;
    log(&world, organization, 1).await;
    // Also by a process that led before, and again now.
    for one in [&checkpointer(&world, file()), &lasting] {
        let round = sign(&world, one).await;
        assert_eq!(round.refused.iter().map(|refusal| refusal.position).collect::<Vec<_>>(), [5]);
    }
    // Grown beyond what was witnessed, it is a fork.
    log(&world, organization, 3).await;
    let round = sign(&world, &checkpointer(&world, file())).await;
    assert_eq!(round.refused.iter().map(|refusal| refusal.position).collect::<Vec<_>>(), [5]);
    assert_eq!(round.signed, []);
    // Without the file nobody can tell.
    assert_eq!(sign(&world, &checkpointer(&world, None)).await.signed, [(organization, 7)]);
}

#[tokio::test]
async fn what_the_file_has_of_another_installation_is_none_of_this_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let witness = Witness::new(folder.path().join("checkpoints"));
    let organization = organization();
    for size in [5_u8, 2] {
        let world = World::new().await;
        log(&world, organization, size.into()).await;
        let round = sign(&world, &checkpointer(&world, Some(witness.clone()))).await;
        assert_eq!((round.refused, round.signed), (vec![], vec![(organization, size.into())]));
    }
}

#[tokio::test]
async fn the_file_survives_a_torn_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("checkpoints");
    let witness = Witness::new(&path);
    assert_eq!(witness.read().expect("nothing").checkpoints, []);
    let world = World::new().await;
    let organization = organization();
    let checkpointer = checkpointer(&world, Some(witness.clone()));
    log(&world, organization, 1).await;
    sign(&world, &checkpointer).await;
    let mut text = std::fs::read_to_string(&path).expect("a file");
    text.push_str("{\"checkpoint\":\"propty/");
    std::fs::write(&path, text).expect("a torn file");
    log(&world, organization, 1).await;
    sign(&world, &checkpointer).await;
    let testimony = witness.read().expect("a file");
    assert_eq!(testimony.checkpoints.iter().map(|found| found.checkpoint.size).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(testimony.unreadable, [2]);
}

#[tokio::test]
async fn what_the_file_cannot_take_is_not_published() {
    let world = World::new().await;
    let organization = organization();
    log(&world, organization, 1).await;
    let nowhere = checkpointer(&world, Some(Witness::new("/nonexistent/folder/checkpoints")));
    let lease =
        Lease::acquire(world.pool(), "checkpointer", Uuid::now_v7()).await.expect("an answer").expect("a lease");
    assert!(nowhere.step(&lease).await.is_err());
    assert_eq!(world.count("select count(*) from log.checkpoints").await, 0);
}

#[tokio::test]
async fn who_lost_the_lease_signs_nothing() {
    let world = World::new().await;
    log(&world, organization(), 1).await;
    let lease =
        Lease::acquire(world.pool(), "checkpointer", Uuid::now_v7()).await.expect("an answer").expect("a lease");
    world.expire_leases().await;
    Lease::acquire(world.pool(), "checkpointer", Uuid::now_v7()).await.expect("an answer").expect("a lease");
    assert_eq!(checkpointer(&world, None).step(&lease).await.expect("an answer"), None);
    assert_eq!(world.count("select count(*) from log.checkpoints").await, 0);
}

#[tokio::test]
async fn a_position_is_covered_on_demand() {
    let world = World::new().await;
    let organization = organization();
    log(&world, organization, 2).await;
    let checkpointer = checkpointer(&world, None);
    checkpointer.cover(organization, 2, Duration::from_secs(10)).await.expect("a checkpoint");
    assert_eq!(latest(&world, organization).await.size, 2);
    checkpointer.cover(organization, 1, Duration::ZERO).await.expect("it is covered");
    assert!(checkpointer.cover(organization, 3, Duration::ZERO).await.is_err(), "nothing was logged there");
}

#[tokio::test]
async fn two_that_start_at_once_make_one_key() {
    let world = World::new().await;
    let neighbour = world.neighbour().await;
    let (one, other) = tokio::join!(
        signing::current(world.pool(), world.store.keyring()),
        signing::current(neighbour.pool(), neighbour.store.keyring()),
    );
    assert_eq!(one.expect("a key"), other.expect("a key"));
    assert_eq!(world.count("select count(*) from vault.signing_keys").await, 1);
}

#[tokio::test]
async fn a_swapped_public_half_is_found_out() {
    let world = World::new().await;
    let id = signing::current(world.pool(), world.store.keyring()).await.expect("a key");
    tamper(&world, "update vault.signing_keys set public_key = decode(repeat('07', 32), 'hex')").await;
    assert!(signing::open(world.pool(), world.store.keyring(), id).await.is_err());
}

#[tokio::test]
async fn one_that_runs_signs_by_itself_and_gives_its_lease_up_when_told() {
    let world = World::new().await;
    let organization = organization();
    let running = checkpointer(&world, None);
    let (stop, told) = tokio::sync::watch::channel(false);
    let task = tokio::spawn(async move { running.run(told).await });
    while world.count("select count(*) from engine.leases where name = 'checkpointer'").await == 0 {
        tokio::task::yield_now().await;
    }
    for size in 1..=2 {
        log(&world, organization, 1).await;
        // Somebody else holds the lease, so whoever waits here signs nothing.
        checkpointer(&world, None).cover(organization, size, Duration::from_secs(60)).await.expect("a checkpoint");
    }
    stop.send(true).expect("a listener");
    task.await.expect("an end");
    let free = Lease::acquire(world.pool(), "checkpointer", Uuid::now_v7()).await.expect("an answer");
    assert!(free.is_some(), "the lease was not given up");
}

#[tokio::test]
async fn a_store_that_has_to_wait_longer_than_the_lease_lasts_comes_to_its_end() {
    let world = World::new().await;
    let organization = organization();
    log(&world, organization, 1).await;
    let mut superuser = world.superuser().await;
    superuser.execute("begin; lock table log.checkpoints in share mode").await.expect("a lock");
    let slow = checkpointer(&world, None);
    let task = tokio::spawn(async move { slow.cover(organization, 1, Duration::from_secs(60)).await });
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    while world.count(waiting).await == 0 {
        tokio::task::yield_now().await;
    }
    // The term has to pass: what is shown is that nothing then waits for itself.
    tokio::time::sleep(event_store::lease::TERM).await;
    superuser.execute("commit").await.expect("an unlocked table");
    let done = tokio::time::timeout(Duration::from_secs(30), task).await.expect("it does not wait for itself");
    done.expect("an end").expect("a checkpoint");
    assert_eq!(latest(&world, organization).await.size, 1);
}
