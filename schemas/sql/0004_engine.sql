-- What the engine keeps beside the events: leases, checkpoints, the outbox, received webhooks, the movable clock.
set role propty_owner;

create table engine.installation (
    single boolean primary key default true check (single),
    id uuid not null default gen_random_uuid(),
    -- bumped when a restored history is accepted; part of cursors, checkpoints and effect keys
    incarnation integer not null default 1,
    -- of the first master key, so that a wrong one is noticed before anything is sealed with it
    master_key_id text
);
insert into engine.installation default values;

create table engine.clock (
    single boolean primary key default true check (single),
    -- added to the machine's clock; zero except in demo and tests
    offset_seconds bigint not null default 0
);
insert into engine.clock default values;

create table engine.leases (
    name text primary key,
    holder uuid not null,
    -- grows with each change of holder
    fence bigint not null,
    expires_at timestamptz not null
);

create table engine.checkpoints (
    subscriber text primary key,
    global_position bigint not null,
    incarnation integer not null,
    updated_at timestamptz not null default now()
);

-- Commands, effects and timers that follow from events; one row per cause and step, for good.
create table engine.outbox (
    key text primary key,
    organization_id uuid not null,
    kind text not null check (kind in ('command', 'effect')),
    name text not null,
    -- paced: begins a charge by autopay, of which thousands may be due at the same moment; the others go before
    lane text not null check (lane in ('prompt', 'paced')),
    -- ids and amounts only, never personal data
    body json not null,
    correlation uuid not null,
    causation text not null,
    state text not null default 'ready' check (state in ('ready', 'done', 'refused', 'unresolved', 'dropped')),
    -- business clock: when it is due
    due_at timestamptz not null,
    -- machine clock: not before, after a failure
    retry_at timestamptz not null default '-infinity',
    attempts integer not null default 0,
    holder uuid,
    lease_until timestamptz,
    -- a provider is being called: a crash now leaves the outcome unknown
    calling boolean not null default false,
    first_called_at timestamptz,
    last_error text,
    created_at timestamptz not null default now(),
    finished_at timestamptz
);
-- What waits for the business clock, and what waits for the machine's: neither lies in the way of the other.
create index outbox_due on engine.outbox (lane, due_at) where state = 'ready' and retry_at = '-infinity';
create index outbox_retry on engine.outbox (lane, retry_at) where state = 'ready' and retry_at > '-infinity';
create index outbox_unresolved on engine.outbox (organization_id, created_at) where state in ('refused', 'unresolved');

-- Verified notices of providers, stored before they are understood. The body is sealed.
create table engine.webhooks (
    provider text not null,
    external_id text not null,
    received_at timestamptz not null default now(),
    body bytea not null,
    state text not null default 'received' check (state in ('received', 'done', 'ignored', 'failed')),
    attempts integer not null default 0,
    retry_at timestamptz not null default '-infinity',
    note text,
    primary key (provider, external_id)
);
create index webhooks_received on engine.webhooks (received_at) where state = 'received';

-- Which stream a provider's object belongs to.
create table engine.provider_objects (
    provider text not null,
    external_id text not null,
    organization_id uuid not null,
    aggregate_type text not null,
    aggregate_id uuid not null,
    primary key (provider, external_id)
);

-- Read models: the generation that is live and those being filled.
create table engine.read_models (
    name text not null,
    generation integer not null,
    -- hash of the tables' shape and the projector's version
    shape text not null,
    state text not null check (state in ('filling', 'live')),
    created_at timestamptz not null default now(),
    primary key (name, generation)
);
create unique index read_models_live on engine.read_models (name) where state = 'live';

-- A key of a read model whose event could not be handled; later events of the key wait behind it.
create table engine.stalled (
    read_model text not null,
    generation integer not null,
    key text not null,
    organization_id uuid not null,
    global_position bigint not null,
    reason text not null,
    since timestamptz not null default now(),
    primary key (read_model, generation, organization_id, key)
);

grant select on engine.installation, engine.clock, engine.checkpoints, engine.read_models to propty_query;
grant select, insert, update, delete on all tables in schema engine to propty_engine;

reset role;
