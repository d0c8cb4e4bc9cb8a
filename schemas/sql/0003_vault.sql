-- Data keys of sealed fields, each wrapped by the master key. A destroyed key stays as a row without a key.
set role propty_owner;

create table vault.data_keys (
    organization_id uuid not null,
    -- a resident, or another stream's id
    subject uuid not null,
    purpose text not null check (purpose in ('contact', 'message', 'finance', 'consent')),
    key_id uuid not null unique,
    -- which master key wrapped it
    master_key_id text not null,
    wrapped bytea,
    created_at timestamptz not null default now(),
    destroyed_at timestamptz,
    primary key (organization_id, subject, purpose),
    check ((wrapped is null) = (destroyed_at is not null))
);

grant select, insert, update on vault.data_keys to propty_engine;

reset role;
