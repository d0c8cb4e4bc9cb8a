-- What a rotation of the master key needs: a root that outlives it, and where the rotation stands.
set role propty_owner;

-- Secrets of the installation, wrapped by a master key: what digests, links and raw notices are keyed with. They stay the same when
-- the master key is replaced, because the log holds digests.
create table vault.secrets (
    name text primary key,
    wrapped bytea not null,
    master_key_id text not null,
    created_at timestamptz not null default now()
);
grant select, insert on vault.secrets to propty_engine;
grant update (wrapped, master_key_id) on vault.secrets to propty_engine;

-- master_key_id is from now on the key that wraps what is new.
alter table engine.installation
    -- the key that something may still be wrapped by; null when no rotation is under way
    add column rewrapping_from text,
    -- never taken again
    add column former_master_keys text[] not null default '{}';

reset role;
