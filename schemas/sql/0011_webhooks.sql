-- Webhooks out: how far each has been sent, what waits, what was tried; and the secrets that sign, sealed by the
-- installation's own secret, which outlives a master key.
set role propty_owner;

create table vault.webhook_secrets (
    secret_id uuid primary key,
    organization_id uuid not null,
    webhook_id uuid not null,
    wrapped bytea not null,
    created_at timestamptz not null default now()
);
create index webhook_secrets_webhook on vault.webhook_secrets (organization_id, webhook_id);
grant select, insert, delete on vault.webhook_secrets to propty_engine;

-- The sender's own state, apart from read models: rebuilding those sends nothing.
create table engine.webhook_endpoints (
    organization_id uuid not null,
    webhook_id uuid not null,
    enabled boolean not null,
    -- how much of the webhook's own stream is taken in here
    version bigint not null,
    -- what is wanted up to here has been sent, or waits below
    position bigint not null,
    -- the version of the last replay that was taken in
    replayed bigint not null default 0,
    -- business clock
    last_success_at timestamptz,
    failing_since timestamptz,
    -- who is sending: one at a time
    holder uuid,
    lease_until timestamptz,
    primary key (organization_id, webhook_id)
);

create table engine.webhook_deliveries (
    organization_id uuid not null,
    webhook_id uuid not null,
    -- the event's place in the log; tests, which are not in it, count down from -1
    position bigint not null,
    -- the aggregate, whose events go one after the other
    stream text not null,
    stream_id uuid not null,
    attempts integer not null default 0,
    -- business clock
    first_tried_at timestamptz,
    due_at timestamptz not null,
    primary key (organization_id, webhook_id, position)
);
create index webhook_deliveries_stream on engine.webhook_deliveries (organization_id, webhook_id, stream_id, position);

-- A line per attempt, kept 30 days.
create table engine.webhook_attempts (
    attempt_id uuid primary key,
    organization_id uuid not null,
    webhook_id uuid not null,
    message_id text not null,
    -- below zero: a test
    position bigint not null,
    event_type text not null,
    attempt integer not null,
    -- business clock
    at timestamptz not null,
    outcome text not null check (outcome in ('delivered', 'failed', 'gone', 'abandoned')),
    status integer,
    duration_ms integer not null,
    error text,
    -- the beginning of the receiver's answer
    excerpt text,
    next_at timestamptz
);
create index webhook_attempts_webhook on engine.webhook_attempts (organization_id, webhook_id, at desc, attempt_id desc);
create index webhook_attempts_age on engine.webhook_attempts (at);

do $$
declare
    name text;
begin
    foreach name in array array['webhook_endpoints', 'webhook_deliveries', 'webhook_attempts'] loop
        execute format('alter table engine.%I enable row level security, force row level security', name);
        execute format('create policy engine on engine.%I to propty_engine using (true) with check (true)', name);
        execute format(
            'create policy tenant on engine.%I for select to propty_query
                 using (organization_id = nullif(current_setting(''propty.organization'', true), '''')::uuid)', name);
        execute format('grant select, insert, update, delete on engine.%I to propty_engine', name);
        execute format('grant select on engine.%I to propty_query', name);
    end loop;
end
$$;

reset role;
