-- Events, append-only; the queue of what is not yet ordered; and the log, which is the order.
set role propty_owner;

create table log.events (
    organization_id uuid not null,
    aggregate_type text not null,
    aggregate_id text not null,
    -- organization/id. Ids are chosen by clients: the same id in another organization is another stream, so that nobody can take
    -- or probe another's. Text, because postgres-es binds it so.
    stream_key text not null check (stream_key = organization_id::text || '/' || aggregate_id),
    sequence bigint not null check (sequence > 0),
    event_type text not null,
    event_version text not null,
    -- json and not jsonb: the text is hashed, and jsonb would rewrite it
    payload json not null,
    metadata json not null,
    recorded_at timestamptz not null,
    primary key (aggregate_type, stream_key, sequence)
) partition by hash (stream_key);

do $$
begin
    for part in 0..15 loop
        execute format(
            'create table log.events_%s partition of log.events for values with (modulus 16, remainder %s)', part, part);
    end loop;
end
$$;

-- One row per appended event until the sequencer has given it its position.
create table log.pending (
    id bigint generated always as identity primary key,
    organization_id uuid not null,
    aggregate_type text not null,
    aggregate_id text not null,
    sequence bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

create table log.entries (
    -- over all organizations; never shown to anyone
    global_position bigint primary key,
    organization_id uuid not null,
    -- the organization's own, dense from 1
    position bigint not null check (position > 0),
    aggregate_type text not null,
    aggregate_id text not null,
    sequence bigint not null,
    event_type text not null,
    -- leaf of the organization's Merkle tree, index position - 1
    leaf bytea not null check (octet_length(leaf) = 32),
    unique (organization_id, position),
    unique (aggregate_type, aggregate_id, sequence, organization_id)
);

-- What moved money at the payment provider, for the nightly comparison with its books.
create index entries_money on log.entries (organization_id, position) where event_type in
    ('PaymentSettled', 'RefundSucceeded', 'PaymentDisputed', 'PaymentDisputeClosed', 'PayoutRecorded');

create table log.heads (
    organization_id uuid primary key,
    position bigint not null
);

create table log.head (
    single boolean primary key default true check (single),
    global_position bigint not null
);
insert into log.head (global_position) values (0);

create function log.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'events are append-only' using errcode = 'insufficient_privilege';
end
$$;

create trigger events_are_append_only before update or delete or truncate on log.events
    for each statement execute function log.refuse_change();
-- The parent's trigger does not fire for a statement on a partition itself.
do $$
begin
    for part in 0..15 loop
        execute format(
            'create trigger events_are_append_only before update or delete or truncate on log.events_%s
                 for each statement execute function log.refuse_change()', part);
    end loop;
end
$$;
create trigger entries_are_append_only before update or delete or truncate on log.entries
    for each statement execute function log.refuse_change();

-- The answer to an accepted command, given again when the same key comes again.
create table log.idempotency (
    organization_id uuid not null,
    actor text not null,
    command text not null,
    key text not null,
    -- SHA-256 of the command's body
    body bytea not null,
    answer json not null,
    created_at timestamptz not null default now(),
    -- kept for good: keys of effects
    permanent boolean not null,
    constraint idempotency_key primary key (organization_id, actor, command, key)
);
create index idempotency_age on log.idempotency (created_at) where not permanent;

alter table log.events enable row level security, force row level security;
alter table log.entries enable row level security, force row level security;
create policy engine on log.events to propty_engine using (true) with check (true);
create policy engine on log.entries to propty_engine using (true) with check (true);
create policy tenant on log.events for select to propty_query
    using (organization_id = nullif(current_setting('propty.organization', true), '')::uuid);
create policy tenant on log.entries for select to propty_query
    using (organization_id = nullif(current_setting('propty.organization', true), '')::uuid);
alter table log.heads enable row level security, force row level security;
create policy engine on log.heads to propty_engine using (true) with check (true);
create policy tenant on log.heads for select to propty_query
    using (organization_id = nullif(current_setting('propty.organization', true), '')::uuid);

-- The events as postgres-es asks for them: its aggregate id is our stream key.
create view log.streams with (security_invoker = true) as
    select aggregate_type, stream_key as aggregate_id, sequence, event_type, event_version, payload, metadata from log.events;
grant select on log.streams to propty_engine;

grant select, insert on log.events, log.entries to propty_engine;
grant select, insert, delete on log.pending, log.idempotency to propty_engine;
grant select, insert, update on log.heads, log.head to propty_engine;
grant select on log.events, log.entries, log.heads to propty_query;

reset role;
