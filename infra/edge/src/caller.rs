//! Who is calling: a token or a session, looked up afresh at least every two seconds.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use event_store::BusinessClock;
use events::{OrganizationId, PropertyId, ResidentId, Role};
use poem::{FromRequest, Request, RequestBody, http::header};
use sqlx::{PgPool, Row};

use crate::{Credentials, Problem, credentials};

/// The name of the session's cookie.
pub const SESSION_COOKIE: &str = "propty_session";
/// A revocation takes effect within this time (and the read model's lag).
const FRESH: Duration = Duration::from_secs(2);
/// From then on one of those who ask looks again, so that not all of them have to at once when it is too old.
const AGEING: Duration = Duration::from_millis(1500);
/// What is unknown may become known at any moment: a session that was just opened.
const UNKNOWN: Duration = Duration::from_millis(200);
const CACHED: usize = 50_000;

/// Who asks, and what they may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub organization: OrganizationId,
    pub role: Role,
    /// The only property that the caller reaches.
    pub property: Option<PropertyId>,
    pub resident: Option<ResidentId>,
    /// The only types of events that the caller reads; empty: all of them.
    pub types: Vec<String>,
    /// `token:…` or `session:…`.
    pub name: String,
    /// Where the request came from.
    pub address: Option<String>,
    expires_at: DateTime<Utc>,
}

/// What a caller was known by.
#[derive(Clone)]
pub struct Ticket(String);

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticket(…)")
    }
}

/// What was found, and when it was looked for.
#[derive(Debug, Clone)]
struct Known {
    since: Instant,
    caller: Option<Caller>,
    /// Somebody is looking again.
    renewed: bool,
}

type Cache = HashMap<String, Known>;

/// Looks callers up.
#[derive(Debug, Clone)]
pub struct Authenticator {
    pool: PgPool,
    clock: BusinessClock,
    credentials: Credentials,
    cache: Arc<Mutex<Cache>>,
    /// Set behind a reverse proxy that writes it: the header with the client's address.
    address_header: Option<String>,
}

impl Authenticator {
    /// `pool` sees all organizations: which one is what is being found out.
    pub fn new(pool: PgPool, clock: BusinessClock, credentials: Credentials, address_header: Option<String>) -> Self {
        Self { pool, clock, credentials, cache: Arc::default(), address_header }
    }

    /// The caller of a request.
    pub async fn authenticate(&self, request: &Request) -> Result<Caller, Problem> {
        let key = self.key(request).ok_or_else(Problem::unauthenticated)?;
        let mut caller = self.known(key).await?;
        caller.address = self.address(request);
        Ok(caller)
    }

    /// What a request's caller is known by, for [`Self::renew`].
    pub fn ticket(&self, request: &Request) -> Result<Ticket, Problem> {
        self.key(request).map(Ticket).ok_or_else(Problem::unauthenticated)
    }

    /// Looks again who it is, while an answer that began with a ticket goes on and on.
    pub async fn renew(&self, ticket: &Ticket) -> Result<Caller, Problem> {
        self.known(ticket.0.clone()).await
    }

    async fn known(&self, key: String) -> Result<Caller, Problem> {
        let found = if let Some(known) = self.recent(&key) {
            known.caller
        } else {
            // What is found is no younger than this.
            let since = Instant::now();
            let caller = self.look_up(&key).await?;
            let mut cache = self.cached();
            if cache.len() > CACHED {
                cache.clear();
            }
            // Of two who looked at once, the later one knows better.
            if cache.get(&key).is_none_or(|known| known.since <= since) {
                cache.insert(key, Known { since, caller: caller.clone(), renewed: false });
            }
            caller
        };
        found.filter(|caller| caller.expires_at > self.clock.now()).ok_or_else(Problem::unauthenticated)
    }

    /// What was found a moment ago; `None`: the asker looks.
    fn recent(&self, key: &str) -> Option<Known> {
        let mut cache = self.cached();
        let known = cache.get_mut(key)?;
        let age = known.since.elapsed();
        if age >= if known.caller.is_some() { FRESH } else { UNKNOWN } {
            return None;
        }
        if age >= AGEING && !known.renewed {
            known.renewed = true;
            return None;
        }
        Some(known.clone())
    }

    /// Waits until a token or session that was just made is known here, at most two seconds.
    pub async fn await_token(&self, hash: &str) -> Result<(), Problem> {
        self.await_key(&format!("t:{hash}")).await
    }

    /// The same for a session.
    pub async fn await_session(&self, id: events::SignInId) -> Result<(), Problem> {
        self.await_key(&format!("s:{id}")).await
    }

    async fn await_key(&self, key: &str) -> Result<(), Problem> {
        let deadline = Instant::now() + FRESH;
        while self.look_up(key).await?.is_none() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Where a request came from, as far as that can be known.
    pub fn address(&self, request: &Request) -> Option<String> {
        match &self.address_header {
            Some(name) => {
                // The last entry is the one that our own proxy wrote; earlier ones are whatever the client sent.
                // A proxy may also have written it as a header of its own below the client's.
                let last = request.headers().get_all(name.as_str()).iter().next_back()?;
                let last = last.to_str().ok()?.rsplit(',').next()?.trim();
                last.parse::<IpAddr>().ok().map(|address| address.to_string())
            }
            None => request.remote_addr().as_socket_addr().map(|address| address.ip().to_string()),
        }
    }

    /// `t:` and the token's hash, or `s:` and the session's id.
    fn key(&self, request: &Request) -> Option<String> {
        if let Some(value) = request.header(header::AUTHORIZATION) {
            let (scheme, token) = value.split_once(' ')?;
            return scheme.eq_ignore_ascii_case("bearer").then(|| format!("t:{}", credentials::hash(token.trim())));
        }
        let cookie = request.cookie().get(SESSION_COOKIE)?;
        let session = self.credentials.check_session(cookie.value_str())?;
        Some(format!("s:{session}"))
    }

    async fn look_up(&self, key: &str) -> Result<Option<Caller>, Problem> {
        match key.split_once(':') {
            Some(("t", hash)) => self.token(hash).await,
            Some(("s", id)) => self.session(id).await,
            _ => Ok(None),
        }
    }

    async fn token(&self, hash: &str) -> Result<Option<Caller>, Problem> {
        let row = sqlx::query(
            "select token_id, organization_id, role, property_id, types, expires_at from read.access_token
             where hash = $1 and revoked_at is null",
        )
        .bind(hash)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let role: &str = row.try_get("role")?;
        let Ok(role) = role.parse() else { return Ok(None) };
        let id: uuid::Uuid = row.try_get("token_id")?;
        Ok(Some(Caller {
            organization: OrganizationId(row.try_get("organization_id")?),
            role,
            property: row.try_get::<Option<uuid::Uuid>, _>("property_id")?.map(PropertyId),
            resident: None,
            types: row.try_get("types")?,
            name: format!("token:{id}"),
            address: None,
            expires_at: row.try_get("expires_at")?,
        }))
    }

    async fn session(&self, id: &str) -> Result<Option<Caller>, Problem> {
        let Ok(id) = id.parse::<uuid::Uuid>() else { return Ok(None) };
        let row = sqlx::query(
            "select session.organization_id, session.resident_id, session.expires_at from read.session session
             join read.resident resident using (organization_id, resident_id)
             where sign_in_id = $1 and opened_at is not null and closed_at is null and resident.status = 'Active'
                 and resident.erased_at is null
                 -- a link that went to an address which was corrected since opens nothing
                 and session.requested_at >= resident.email_since",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Caller {
            organization: OrganizationId(row.try_get("organization_id")?),
            role: Role::Resident,
            property: None,
            resident: Some(ResidentId(row.try_get("resident_id")?)),
            types: Vec::new(),
            name: format!("session:{id}"),
            address: None,
            expires_at: row.try_get("expires_at")?,
        }))
    }

    fn cached(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> FromRequest<'a> for Caller {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let authenticator = request.data::<Authenticator>().ok_or_else(Problem::unauthenticated)?;
        Ok(authenticator.authenticate(request).await?)
    }
}

impl Caller {
    /// Refuses a role that an operation does not admit.
    pub fn admit(&self, roles: &[Role]) -> Result<(), Problem> {
        if roles.contains(&self.role) {
            return Ok(());
        }
        let names: Vec<&str> =
            roles.iter().filter(|role| Role::PEOPLE.contains(role)).map(|role| role.name()).collect();
        Err(Problem::forbidden(format!("this is for {}", names.join(", "))))
    }
}
