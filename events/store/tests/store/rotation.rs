//! The master key replaced: interrupted anywhere, while others write, and with every proof as valid as before.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use event_store::{
    KeyService, Keyring, LocalKeys, MasterKey, Store,
    audit::{self, Known},
    key_service::{self, KeyServiceError},
    keyring::KeyError,
    positions::Positions,
    rotation::{self, Rewrapped, Wrapping},
    signing,
};
use events::{OrganizationId, Purpose};
use futures_util::future::BoxFuture;
use ring::{hkdf, hmac};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    checkpoints::{checkpointer, sign},
    note::{add, read, signed},
    world::{World, context, master_key, organization},
};

const NAME: &str = "Ifeoma Okafor";

/// A service that fails after so many calls, and at one key does something first.
#[derive(Debug)]
struct Odd {
    keys: LocalKeys,
    left: AtomicI64,
    destroys: Option<(PgPool, Uuid)>,
}

impl Odd {
    fn failing_after(calls: i64) -> Self {
        Self { keys: both(), left: AtomicI64::new(calls), destroys: None }
    }

    fn tick(&self) -> Result<(), KeyServiceError> {
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        if left > 0 { Ok(()) } else { Err(KeyServiceError::Unavailable("as the test wants".to_owned())) }
    }
}

impl KeyService for Odd {
    fn first(&self) -> String {
        self.keys.first()
    }

    fn knows(&self, key: &str) -> bool {
        self.keys.knows(key)
    }

    fn wrap<'a>(
        &'a self,
        key: &'a str,
        context: &'a str,
        plain: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, KeyServiceError>> {
        Box::pin(async move {
            self.tick()?;
            self.keys.wrap(key, context, plain).await
        })
    }

    fn unwrap<'a>(
        &'a self,
        key: &'a str,
        context: &'a str,
        wrapped: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, KeyServiceError>> {
        Box::pin(async move {
            self.tick()?;
            if let Some((pool, subject)) = self.destroys.as_ref().filter(|_| context != "root") {
                sqlx::query("update vault.data_keys set wrapped = null, destroyed_at = now() where subject = $1")
                    .bind(subject)
                    .execute(pool)
                    .await
                    .expect("an erasure in between");
            }
            self.keys.unwrap(key, context, wrapped).await
        })
    }
}

/// The former key and the next one.
fn both() -> LocalKeys {
    LocalKeys::new(master_key(1), vec![master_key(2)])
}

fn only(byte: u8) -> LocalKeys {
    LocalKeys::new(master_key(byte), vec![])
}

fn id(byte: u8) -> String {
    master_key(byte).id().to_owned()
}

async fn open(world: &World, keys: impl KeyService + 'static) -> Result<Keyring, KeyError> {
    Keyring::open_with(world.pool().clone(), Arc::new(keys)).await
}

/// Another process, with these keys.
async fn store(world: &World, keys: impl KeyService + 'static) -> Arc<Store> {
    let keyring = open(world, keys).await.expect("a keyring");
    Arc::new(Store::new(world.pool().clone(), keyring, Positions::default()))
}

/// Signed notes of some people, a signed log, a notice: everything that there is to be wrapped.
struct House {
    world: World,
    organization: OrganizationId,
    notes: Vec<Uuid>,
    digest: Uuid,
    notice: Vec<u8>,
}

impl House {
    async fn new() -> Self {
        let world = World::new().await;
        let organization = organization();
        let mut notes = Vec::new();
        for _ in 0..3 {
            let note = Uuid::now_v7();
            let event = signed(Uuid::now_v7(), Purpose::Contact, NAME);
            add(&world.store, &context(organization), note, vec![event]).await.expect("an event");
            notes.push(note);
        }
        world.drain().await;
        sign(&world, &checkpointer(&world, None)).await;
        let keyring = world.store.keyring();
        let digest = keyring.digest(organization, "+13055550143");
        let notice = keyring.seal_raw("webhook", b"a notice").expect("a sealed notice");
        Self { world, organization, notes, digest, notice }
    }

    /// A process with these keys reads all there is, signs, derives what was derived before, and finds every proof in order.
    async fn is_whole(&self, keys: impl KeyService + 'static) {
        let store = store(&self.world, keys).await;
        for note in &self.notes {
            let found = read(&store, &context(self.organization), *note).await.expect("a note");
            assert_eq!(found.signatures, [Some(NAME.to_owned())]);
        }
        let keyring = store.keyring();
        assert_eq!(keyring.digest(self.organization, "+13055550143"), self.digest, "the log holds digests");
        assert_eq!(keyring.open_raw("webhook", &self.notice).await.expect("a notice"), b"a notice");
        let key = signing::current(self.world.pool(), keyring).await.expect("a key");
        signing::open(self.world.pool(), keyring, key).await.expect("a key that opens");
        let report = audit::verify(&store, &Known::default(), &mut |_| {}).await.expect("a report");
        assert_eq!(report.findings, [], "proofs stand");
    }
}

#[tokio::test]
async fn after_a_rotation_the_new_key_alone_opens_everything_and_the_former_nothing() {
    let house = House::new().await;
    let keyring = open(&house.world, both()).await.expect("a keyring");
    let done = rotation::rotate(&keyring, house.world.pool(), &id(2)).await.expect("a rotation");
    assert_eq!(done, Rewrapped { data_keys: 3, signing_keys: 1, secrets: 1, webhooks: 0 });
    house.is_whole(only(2)).await;
    match open(&house.world, only(1)).await {
        Err(KeyError::WrongMasterKey { ours, theirs }) => assert_eq!((ours, theirs), (id(1), id(2))),
        found => panic!("{found:?}"),
    }
    let standing = rotation::standing(house.world.pool()).await.expect("a count");
    assert_eq!(standing, [Wrapping { master_key: id(2), current: true, keys: 5 }]);
    // Again, there is nothing to do; and a key that was replaced is not taken again.
    let keyring = open(&house.world, both()).await.expect("a keyring");
    let again = rotation::rotate(&keyring, house.world.pool(), &id(2)).await.expect("a rotation");
    assert_eq!(again, Rewrapped::default());
    let back = rotation::rotate(&keyring, house.world.pool(), &id(1)).await;
    assert!(matches!(back, Err(KeyError::Retired(_))), "{back:?}");
}

#[tokio::test]
async fn a_rotation_that_stops_anywhere_leaves_everything_readable_and_goes_on() {
    let house = House::new().await;
    let mut failures = 0;
    // Each start needs one call to read the root; each try gets a little further than the one before.
    for calls in 1.. {
        let keyring = open(&house.world, Odd::failing_after(calls)).await.expect("a keyring");
        match rotation::rotate(&keyring, house.world.pool(), &id(2)).await {
            Ok(_) => break,
            Err(KeyError::Service(KeyServiceError::Unavailable(_))) => failures += 1,
            Err(other) => panic!("{other:?}"),
        }
        house.is_whole(both()).await;
        if rotation::stage(house.world.pool()).await.expect("a stage").1.is_some() {
            let alone = open(&house.world, only(2)).await;
            assert!(matches!(alone, Err(KeyError::UnfinishedRotation(_))), "{alone:?}");
        }
    }
    assert!(failures > 5, "it was interrupted at {failures} places only");
    house.is_whole(only(2)).await;
}

#[tokio::test]
async fn of_two_rotations_at_once_one_says_that_it_lost_and_wraps_nothing() {
    let house = House::new().await;
    let pool = house.world.pool();
    let three = || LocalKeys::new(master_key(1), vec![master_key(2), master_key(3)]);
    let (one, other) =
        (open(&house.world, three()).await.expect("keys"), open(&house.world, three()).await.expect("keys"));
    rotation::begin(&one, pool, &id(1), &id(2)).await.expect("a beginning");
    // It looked where things stand before the first began.
    let lost = rotation::begin(&other, pool, &id(1), &id(3)).await;
    assert!(matches!(lost, Err(KeyError::Rotating)), "{lost:?}");
    let lost = rotation::rewrap(&other, pool, &id(3)).await;
    assert!(matches!(lost, Err(KeyError::Rotating)), "{lost:?}");
    let count = format!("select count(*) from vault.data_keys where master_key_id = '{}'", id(3));
    assert_eq!(house.world.count(&count).await, 0, "wrapped by a key that nobody was told of");
    rotation::rotate(&one, pool, &id(2)).await.expect("a rotation");
    house.is_whole(only(2)).await;

    let held = rotation::exclusively(pool).await.expect("a free lock");
    let second = rotation::exclusively(pool).await;
    assert!(matches!(second, Err(KeyError::Rotating)), "{second:?}");
    drop(held);
}

#[test]
fn files_of_keys_are_moved_only_when_they_are_those_that_are_meant_and_none_is_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, key: u8| {
        std::fs::write(folder.path().join(name), crate::world::master_key_text(key)).expect("a key");
    };
    let key_in =
        |name: &str| MasterKey::load(&folder.path().join(name)).expect("a file").map(|key| key.id().to_owned());
    write("master.key", 1);
    write("master.key.next", 2);
    key_service::settle(folder.path(), &id(2)).expect("files in their places");
    assert_eq!(key_in("master.key"), Some(id(2)));
    assert_eq!(key_in(&key_service::former_name(&id(1))), Some(id(1)));
    // Whoever was second in two rotations at once: its key is in place, and nothing waits.
    key_service::settle(folder.path(), &id(2)).expect("nothing to do");
    assert_eq!(
        (key_in("master.key"), key_in("master.key.next")),
        (Some(id(2)), None),
        "the only key stays where it is"
    );
    write("master.key.next", 3);
    assert!(key_service::settle(folder.path(), &id(4)).is_err(), "another key waits than the one that is meant");
    assert_eq!((key_in("master.key"), key_in("master.key.next")), (Some(id(2)), Some(id(3))));
    // An ordinary second rotation keeps the first one's former key, too.
    key_service::settle(folder.path(), &id(3)).expect("files in their places");
    let keys = LocalKeys::in_folder(folder.path()).expect("a folder").expect("keys");
    assert_eq!(keys.first(), id(3));
    assert!(keys.knows(&id(1)) && keys.knows(&id(2)), "a former key was overwritten");
}

#[tokio::test]
async fn who_runs_meanwhile_goes_on_and_wraps_what_is_new_by_the_new_key() {
    let house = House::new().await;
    let running = store(&house.world, both()).await;
    let keyring = open(&house.world, both()).await.expect("a keyring");
    rotation::begin(&keyring, house.world.pool(), &id(1), &id(2)).await.expect("a beginning");
    let note = Uuid::now_v7();
    let event = signed(Uuid::now_v7(), Purpose::Contact, NAME);
    add(&running, &context(house.organization), note, vec![event]).await.expect("an event");
    let count = "select count(*) from vault.data_keys where master_key_id = ";
    assert_eq!(house.world.count(&format!("{count}'{}'", id(2))).await, 1);
    // One that was not given the new key stores nothing rather than something that is lost.
    let event = signed(Uuid::now_v7(), Purpose::Contact, NAME);
    let refused = add(&house.world.store, &context(house.organization), Uuid::now_v7(), vec![event]).await;
    assert!(refused.is_err(), "a key under a master key that it has not got");
    rotation::rotate(&keyring, house.world.pool(), &id(2)).await.expect("a rotation");
    assert_eq!(house.world.count(&format!("{count}'{}'", id(1))).await, 0);
    house.is_whole(only(2)).await;
}

#[tokio::test]
async fn what_is_erased_while_it_is_wrapped_anew_stays_erased() {
    let house = House::new().await;
    let subject = Uuid::now_v7();
    let event = signed(subject, Purpose::Contact, NAME);
    let note = Uuid::now_v7();
    add(&house.world.store, &context(house.organization), note, vec![event]).await.expect("an event");
    let keys =
        Odd { keys: both(), left: AtomicI64::new(i64::MAX), destroys: Some((house.world.pool().clone(), subject)) };
    let keyring = open(&house.world, both()).await.expect("a keyring");
    rotation::begin(&keyring, house.world.pool(), &id(1), &id(2)).await.expect("a beginning");
    // The erasure comes between the look at a row and its change.
    let odd = open(&house.world, keys).await.expect("a keyring");
    rotation::rewrap(&odd, house.world.pool(), &id(2)).await.expect("the rest");
    assert_eq!(house.world.count("select count(*) from vault.data_keys where wrapped is null").await, 1);
    let store = store(&house.world, only(2)).await;
    assert_eq!(read(&store, &context(house.organization), note).await.expect("a note").signatures, [None]);
}

#[tokio::test]
async fn an_installation_from_before_keeps_its_digests_and_its_notices() {
    let house = House::new().await;
    // As it was: no root, digests and notices under the master key itself.
    sqlx::query("delete from vault.secrets").execute(&mut house.world.superuser().await).await.expect("no root");
    let old = both().wrap(&id(1), "stripe", b"an old notice").await.expect("a notice");
    sqlx::query("insert into engine.webhooks (provider, external_id, body) values ('stripe', 'evt_1', $1)")
        .bind(&old)
        .execute(house.world.pool())
        .await
        .expect("a stored notice");
    let keyring = open(&house.world, both()).await.expect("a keyring");
    let okm = hkdf::Salt::new(hkdf::HKDF_SHA256, b"propty").extract(&[1; 32]);
    let info: [&[u8]; 1] = [b"digest"];
    let key = hmac::Key::from(okm.expand(&info, hmac::HMAC_SHA256).expect("a key"));
    let mut expected = hmac::Context::with_key(&key);
    expected.update(house.organization.0.as_bytes());
    expected.update(b"+13055550143");
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&expected.sign().as_ref()[..16]);
    let digest = keyring.digest(house.organization, "+13055550143");
    assert_eq!(digest, uuid::Builder::from_custom_bytes(bytes).into_uuid());
    assert_eq!(keyring.open_raw("stripe", &old).await.expect("a notice"), b"an old notice");

    let done = rotation::rotate(&keyring, house.world.pool(), &id(2)).await.expect("a rotation");
    assert_eq!(done.webhooks, 1);
    let alone = open(&house.world, only(2)).await.expect("a keyring");
    let body: Vec<u8> =
        sqlx::query_scalar("select body from engine.webhooks").fetch_one(house.world.pool()).await.expect("a body");
    assert_eq!(alone.open_raw("stripe", &body).await.expect("a notice"), b"an old notice");
    assert_eq!(alone.digest(house.organization, "+13055550143"), digest);
}

#[tokio::test]
async fn a_running_process_finds_the_next_key_in_its_folder() {
    let house = House::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("master.key"), crate::world::master_key_text(1)).expect("a key");
    let running = LocalKeys::in_folder(folder.path()).expect("a folder").expect("keys");
    let running = store(&house.world, running).await;
    std::fs::write(folder.path().join("master.key.next"), crate::world::master_key_text(2)).expect("a key");
    let keyring = open(&house.world, both()).await.expect("a keyring");
    rotation::rotate(&keyring, house.world.pool(), &id(2)).await.expect("a rotation");
    let note = Uuid::now_v7();
    let event = signed(Uuid::now_v7(), Purpose::Contact, NAME);
    add(&running, &context(house.organization), note, vec![event]).await.expect("an event");
    assert_eq!(
        read(&running, &context(house.organization), note).await.expect("a note").signatures,
        [Some(NAME.to_owned())]
    );
    // Checkpoints go on, under the same signing key.
    house.world.drain().await;
    let checkpointer = event_store::Checkpointer::new(house.world.pool().clone(), running.keyring().clone(), None);
    checkpointer.cover(house.organization, 4, std::time::Duration::from_secs(10)).await.expect("a checkpoint");
    drop(checkpointer);
    house.is_whole(only(2)).await;
}
