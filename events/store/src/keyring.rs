//! Data keys: made on first use, wrapped by the master key, cached briefly, destroyed on erasure.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use events::{OrganizationId, Purpose};
use ring::{
    aead::{AES_256_GCM, LessSafeKey, UnboundKey},
    digest, hmac,
    rand::{SecureRandom, SystemRandom},
};
use serde_json::Value;
use sqlx::{PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    KeyService, LocalKeys, MasterKey, database,
    key_service::{self, KeyServiceError},
    root::Root,
    seal::{self, DataKey, Disclosed, KeyName, SealError},
};

/// How long another process may still open what was erased meanwhile.
const FRESH: Duration = Duration::from_secs(5);
/// Enough for the residents of a large organization; past it the cache starts over.
const CACHED: usize = 200_000;
/// Connections for looking keys up.
const LOOKUPS: u32 = 2;

type Cache = HashMap<KeyName, (Instant, DataKey)>;

/// Opens and seals personal fields.
#[derive(Debug, Clone)]
pub struct Keyring {
    pool: PgPool,
    /// Keys are looked up by the thousand. No transaction may begin on these.
    lookups: PgPool,
    masters: Arc<dyn KeyService>,
    /// The master key that wraps what is new, as this process last heard.
    current: Arc<Mutex<String>>,
    root: Arc<Root>,
    cache: Arc<Mutex<Cache>>,
}

/// Why a key is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the keys could not be read")]
    Database(#[from] sqlx::Error),
    #[error("the master key {ours} is not the one that this database's keys are wrapped with ({theirs})")]
    WrongMasterKey { ours: String, theirs: String },
    #[error(
        "keys of this database are still wrapped with the master key {0}, which is not here; give it too until `propty keys rotate` is done"
    )]
    UnfinishedRotation(String),
    #[error("the master key {0} was replaced before and is not taken again; make a new one")]
    Retired(String),
    #[error(
        "the master key is being replaced by somebody else at this moment; let them end, and look with `propty keys status`"
    )]
    Rotating,
    #[error(transparent)]
    Service(#[from] KeyServiceError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("the signing key {0} does not open, or its public half is not its own")]
    SigningKey(Uuid),
}

impl Keyring {
    /// Fails when the database was sealed under another master key.
    pub async fn open(pool: PgPool, master: MasterKey) -> Result<Self, KeyError> {
        Self::open_with(pool, Arc::new(LocalKeys::new(master, vec![]))).await
    }

    /// With whoever holds the master keys. Fails when a key that something is wrapped by is not there.
    pub async fn open_with(pool: PgPool, masters: Arc<dyn KeyService>) -> Result<Self, KeyError> {
        let fresh = master_key_of(&pool).await?.is_none();
        let first = masters.first();
        let (current, from): (String, Option<String>) = sqlx::query_as(
            "update engine.installation set master_key_id = coalesce(master_key_id, $1)
             returning master_key_id, rewrapping_from",
        )
        .bind(&first)
        .fetch_one(&pool)
        .await?;
        if !masters.knows(&current) {
            return Err(KeyError::WrongMasterKey { ours: first, theirs: current });
        }
        if let Some(from) = from.filter(|from| !masters.knows(from)) {
            return Err(KeyError::UnfinishedRotation(from));
        }
        let root = Arc::new(Root::open(&pool, &*masters, &current, fresh).await?);
        let lookups = database::for_single_statements(&pool, LOOKUPS);
        Ok(Self { pool, lookups, masters, current: Arc::new(Mutex::new(current)), root, cache: Arc::default() })
    }

    /// A keyed hash under which equal values of one organization are equal, and nothing else can be learnt.
    pub fn digest(&self, organization: OrganizationId, value: &str) -> Uuid {
        let key = self.root.mac_key("digest");
        let mut context = hmac::Context::with_key(&key);
        context.update(organization.0.as_bytes());
        context.update(value.as_bytes());
        let tag = context.sign();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&tag.as_ref()[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// A keyed hash of some bytes for one use, by which they can be compared and not guessed.
    pub fn mac(&self, usage: &str, bytes: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(hmac::sign(&self.root.mac_key(usage), bytes).as_ref());
        out
    }

    /// Who holds the master keys.
    pub fn masters(&self) -> &dyn KeyService {
        &*self.masters
    }

    /// Wraps some bytes by the master key that wraps what is new; its id comes with them.
    pub(crate) async fn wrap(&self, context: &str, plain: &[u8]) -> Result<(String, Vec<u8>), KeyError> {
        let current = self.current();
        let wrapped = self.masters.wrap(&current, context, plain).await?;
        Ok((current, wrapped))
    }

    fn current(&self) -> String {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Hears of a rotation.
    pub(crate) async fn refresh(&self) -> Result<(), KeyError> {
        let Some(current) = master_key_of(&self.pool).await? else { return Ok(()) };
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = current;
        Ok(())
    }

    /// A MAC key for one use.
    pub fn mac_key(&self, usage: &str) -> hmac::Key {
        self.root.mac_key(usage)
    }

    /// Seals the personal fields of a value, making keys as needed.
    pub async fn seal(&self, organization: OrganizationId, value: &mut Value) -> Result<(), KeyError> {
        let mut names = Vec::new();
        seal::key_names(organization, value, &mut names);
        let keys = self.keys(names, true).await?;
        Ok(seal::seal(organization, value, &|name| keys.get(&name).cloned())?)
    }

    /// Opens the personal fields of many values at once; what cannot be opened reads as erased.
    pub async fn open_all(&self, values: &mut [(OrganizationId, &mut Value)]) -> Result<(), KeyError> {
        let mut names = Vec::new();
        for (organization, value) in values.iter() {
            seal::key_names(*organization, value, &mut names);
        }
        if names.is_empty() {
            return Ok(());
        }
        let keys = self.keys(names, false).await?;
        for (organization, value) in values {
            seal::open(*organization, value, &|name| keys.get(&name).cloned());
        }
        Ok(())
    }

    /// The sealed fields of many values, with what opens them for a third party: see [`seal::disclose`].
    pub async fn disclose_all(
        &self,
        organization: OrganizationId,
        values: &[&Value],
    ) -> Result<Vec<Vec<Disclosed>>, KeyError> {
        let mut names = Vec::new();
        for value in values {
            seal::key_names(organization, value, &mut names);
        }
        let keys = if names.is_empty() { HashMap::new() } else { self.keys(names, false).await? };
        let disclosed = |value: &&Value| {
            let mut found = Vec::new();
            seal::disclose(organization, value, &|name| keys.get(&name).cloned(), &mut found);
            found
        };
        Ok(values.iter().map(disclosed).collect())
    }

    /// Seals bytes that belong to no organization yet (a raw webhook).
    pub fn seal_raw(&self, usage: &str, plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(key_service::wrap(self.root.raw(), usage, plain).ok_or(SealError)?)
    }

    /// Opens what [`Self::seal_raw`] sealed.
    pub async fn open_raw(&self, usage: &str, sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
        if let Some(plain) = self.open_by_root(usage, sealed) {
            return Ok(plain);
        }
        // From before there was a root.
        let former: Option<String> =
            sqlx::query_scalar("select rewrapping_from from engine.installation").fetch_one(&self.pool).await?;
        for key in former.into_iter().chain([self.current()]) {
            if let Ok(plain) = self.masters.unwrap(&key, usage, sealed).await {
                return Ok(plain);
            }
        }
        Err(SealError.into())
    }

    pub(crate) fn open_by_root(&self, usage: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        key_service::unwrap(self.root.raw(), usage, sealed)
    }

    /// Destroys the keys of a subject for these purposes; what they sealed can never be read again.
    pub async fn destroy(
        &self,
        organization: OrganizationId,
        subject: Uuid,
        purposes: &[Purpose],
    ) -> Result<(), KeyError> {
        let names: Vec<&str> = purposes.iter().map(|purpose| purpose.name()).collect();
        // A row is left even where no key was ever made, so that none is made later.
        sqlx::query(
            "insert into vault.data_keys (organization_id, subject, purpose, key_id, master_key_id, wrapped, destroyed_at)
             select $1, $2, purpose, gen_random_uuid(), $4, null, now() from unnest($3::text[]) purpose
             on conflict (organization_id, subject, purpose)
             do update set wrapped = null, destroyed_at = coalesce(vault.data_keys.destroyed_at, now())",
        )
        .bind(organization.0)
        .bind(subject)
        .bind(names)
        .bind(self.current())
        .execute(&self.pool)
        .await?;
        self.cached().retain(|name, _| name.subject != subject);
        Ok(())
    }

    /// The purposes for which a subject's keys are destroyed, and none can be made again.
    pub async fn destroyed(&self, organization: OrganizationId, subject: Uuid) -> Result<Vec<Purpose>, KeyError> {
        let names: Vec<String> = sqlx::query_scalar(
            "select purpose from vault.data_keys where organization_id = $1 and subject = $2 and wrapped is null",
        )
        .bind(organization.0)
        .bind(subject)
        .fetch_all(&self.pool)
        .await?;
        Ok(Purpose::ALL.into_iter().filter(|purpose| names.iter().any(|name| name == purpose.name())).collect())
    }

    async fn keys(&self, mut names: Vec<KeyName>, create: bool) -> Result<HashMap<KeyName, DataKey>, KeyError> {
        names.sort_unstable();
        names.dedup();
        let mut found = HashMap::with_capacity(names.len());
        {
            let cache = self.cached();
            names.retain(|name| match cache.get(name) {
                Some((since, key)) if since.elapsed() < FRESH => {
                    found.insert(*name, key.clone());
                    false
                }
                _ => true,
            });
        }
        if names.is_empty() {
            return Ok(found);
        }
        let mut loaded = self.load(&names).await?;
        names.retain(|name| !loaded.contains_key(name));
        if create && !names.is_empty() {
            loaded.extend(self.create(&names).await?);
        }
        let now = Instant::now();
        let mut cache = self.cached();
        if cache.len() > CACHED {
            cache.clear();
        }
        cache.extend(loaded.iter().map(|(name, key)| (*name, (now, key.clone()))));
        found.extend(loaded);
        Ok(found)
    }

    async fn load(&self, names: &[KeyName]) -> Result<HashMap<KeyName, DataKey>, KeyError> {
        let (organizations, subjects, purposes) = columns(names);
        // Key by key, by the index: a plain join reads all keys that there are.
        let rows = sqlx::query(
            "select wanted.organization_id, wanted.subject, wanted.purpose, known.key_id, known.wrapped, known.master_key_id
             from unnest($1::uuid[], $2::uuid[], $3::text[]) as wanted (organization_id, subject, purpose)
             cross join lateral (
                 select key_id, wrapped, master_key_id from vault.data_keys one
                 where one.organization_id = wanted.organization_id and one.subject = wanted.subject
                     and one.purpose = wanted.purpose
                 limit 1
             ) known",
        )
        .bind(organizations)
        .bind(subjects)
        .bind(purposes)
        .fetch_all(&self.lookups)
        .await?;
        self.unwrapped(&rows).await
    }

    async fn unwrapped(&self, rows: &[PgRow]) -> Result<HashMap<KeyName, DataKey>, KeyError> {
        let mut keys = HashMap::with_capacity(rows.len());
        for row in rows {
            let purpose: &str = row.try_get("purpose")?;
            let Some(purpose) = Purpose::ALL.into_iter().find(|known| known.name() == purpose) else { continue };
            let name = KeyName {
                organization: OrganizationId(row.try_get("organization_id")?),
                subject: row.try_get("subject")?,
                purpose,
            };
            let id: Uuid = row.try_get("key_id")?;
            let key = match row.try_get::<Option<&[u8]>, _>("wrapped")? {
                None => DataKey::Destroyed,
                Some(wrapped) => {
                    let by: &str = row.try_get("master_key_id")?;
                    let bytes = self.masters.unwrap(by, &id.to_string(), wrapped).await?;
                    let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| SealError)?;
                    DataKey::Live { id, key: Arc::new(LessSafeKey::new(key)) }
                }
            };
            keys.insert(name, key);
        }
        Ok(keys)
    }

    /// Makes keys for names that have none; a concurrent maker's key wins, and is what is returned.
    async fn create(&self, names: &[KeyName]) -> Result<HashMap<KeyName, DataKey>, KeyError> {
        let made = self.try_to_create(names).await?;
        if !made.is_empty() {
            return Ok(made);
        }
        // The master key was replaced meanwhile: nothing was stored under the former one.
        self.refresh().await?;
        self.try_to_create(names).await
    }

    async fn try_to_create(&self, names: &[KeyName]) -> Result<HashMap<KeyName, DataKey>, KeyError> {
        let current = self.current();
        let random = SystemRandom::new();
        let (organizations, subjects, purposes) = columns(names);
        let mut ids = Vec::with_capacity(names.len());
        let mut wrapped = Vec::with_capacity(names.len());
        for _ in names {
            let id = Uuid::now_v7();
            let mut bytes = [0; 32];
            random.fill(&mut bytes).map_err(|_| SealError)?;
            wrapped.push(self.masters.wrap(&current, &id.to_string(), &bytes).await?);
            ids.push(id);
        }
        let rows = sqlx::query(
            "insert into vault.data_keys as known (organization_id, subject, purpose, key_id, wrapped, master_key_id)
             select *, $6 from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::bytea[])
             where $6 = (select master_key_id from engine.installation)
             on conflict (organization_id, subject, purpose) do update set key_id = known.key_id
             returning organization_id, subject, purpose, key_id, wrapped, master_key_id",
        )
        .bind(organizations)
        .bind(subjects)
        .bind(purposes)
        .bind(ids)
        .bind(wrapped)
        .bind(&current)
        .fetch_all(&self.pool)
        .await?;
        self.unwrapped(&rows).await
    }

    fn cached(&self) -> std::sync::MutexGuard<'_, Cache> {
        // Nothing between lock and unlock can leave the map half changed.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn columns(names: &[KeyName]) -> (Vec<Uuid>, Vec<Uuid>, Vec<&'static str>) {
    (
        names.iter().map(|name| name.organization.0).collect(),
        names.iter().map(|name| name.subject).collect(),
        names.iter().map(|name| name.purpose.name()).collect(),
    )
}

/// The master key that wraps what is new; `None` before the first start.
pub async fn master_key_of(pool: &PgPool) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("select master_key_id from engine.installation").fetch_one(pool).await
}

/// SHA-256 of some bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}
