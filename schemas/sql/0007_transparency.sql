-- What lets an outsider check the log: subtree roots of each organization's Merkle tree, signed checkpoints, and the keys that sign.
set role propty_owner;

-- The tree's leaves are in log.entries. A row here is the root of a complete subtree of 256^level leaves.
create table log.tiles (
    organization_id uuid not null,
    level smallint not null check (level between 1 and 7),
    index bigint not null check (index >= 0),
    hash bytea not null check (octet_length(hash) = 32),
    primary key (organization_id, level, index)
);

create table log.checkpoints (
    organization_id uuid not null,
    -- dense from 1
    number bigint not null check (number > 0),
    size bigint not null check (size > 0),
    root bytea not null check (octet_length(root) = 32),
    -- the signed note (C2SP tlog-checkpoint)
    note text not null,
    -- the key that was current; the first checkpoint after a rotation has the former key's signature too
    key_id uuid not null,
    created_at timestamptz not null default now(),
    primary key (organization_id, number)
);
create index checkpoints_size on log.checkpoints (organization_id, size);

create trigger tiles_are_append_only before update or delete or truncate on log.tiles
    for each statement execute function log.refuse_change();
create trigger checkpoints_are_append_only before update or delete or truncate on log.checkpoints
    for each statement execute function log.refuse_change();

alter table log.tiles enable row level security, force row level security;
alter table log.checkpoints enable row level security, force row level security;
create policy engine on log.tiles to propty_engine using (true) with check (true);
create policy engine on log.checkpoints to propty_engine using (true) with check (true);
create policy tenant on log.tiles for select to propty_query
    using (organization_id = nullif(current_setting('propty.organization', true), '')::uuid);
create policy tenant on log.checkpoints for select to propty_query
    using (organization_id = nullif(current_setting('propty.organization', true), '')::uuid);
grant select, insert on log.tiles, log.checkpoints to propty_engine;
grant select on log.tiles, log.checkpoints to propty_query;

-- Private halves are wrapped by the master key. Whoever changes a public half without that key is found out by it.
create table vault.signing_keys (
    key_id uuid primary key,
    public_key bytea not null unique check (octet_length(public_key) = 32),
    wrapped bytea not null,
    master_key_id text not null,
    created_at timestamptz not null default now(),
    retired_at timestamptz
);
create unique index signing_keys_current on vault.signing_keys ((true)) where retired_at is null;
grant select, insert on vault.signing_keys to propty_engine;
grant update (retired_at, wrapped, master_key_id) on vault.signing_keys to propty_engine;

-- The public halves, for everybody; the vault itself stays closed.
create view log.signing_keys as select key_id, public_key, created_at, retired_at from vault.signing_keys;
grant select on log.signing_keys to propty_engine, propty_query;

-- Organizations whose log is not what was signed before: nothing more is signed until a person has looked.
create table engine.checkpoint_refusals (
    organization_id uuid primary key,
    position bigint not null,
    reason text not null,
    since timestamptz not null default now()
);
grant select, insert, update, delete on engine.checkpoint_refusals to propty_engine;

reset role;
