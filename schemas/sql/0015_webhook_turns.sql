-- Webhooks out: an attempt of before is told from one of now, an event that is refused alone from a receiver that refuses all, and
-- a webhook for which there is nothing to do from the others.
set role propty_owner;

alter table engine.webhook_endpoints
    -- business clock: nothing is due before; 'infinity' where nothing waits
    add column next_due_at timestamptz not null default '-infinity',
    -- so many wait that nothing more is taken from the feed
    add column is_full boolean not null default false;

alter table engine.webhook_deliveries
    -- another one whenever it is taken in anew or has its attempts back: what was posted before says nothing of it
    add column generation uuid not null default gen_random_uuid(),
    -- business clock
    add column last_tried_at timestamptz;

-- What did not arrive is looked for among much that did.
create index webhook_attempts_trouble
    on engine.webhook_attempts (organization_id, webhook_id, outcome, at desc, attempt_id desc) where outcome <> 'delivered';

reset role;
