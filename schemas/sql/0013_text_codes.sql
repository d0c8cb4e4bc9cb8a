-- Words of people are understood apart from other webhooks: whatever waits there is not looked through for them.
-- When a provider was last called for a task: a text that is not found proves nothing for a while after that call.
-- Codes by the number that they went to, whoever had them sent: a number's owner is not to be plagued by several.
set role propty_owner;

create index webhooks_of_texts on engine.webhooks (received_at) where state = 'received' and provider = 'twilio';

alter table engine.outbox add column last_called_at timestamptz;

create table engine.text_codes (
    organization_id uuid not null,
    -- keyed hash of the number
    number_key uuid not null,
    text_id uuid not null,
    -- business clock
    sent_at timestamptz not null,
    primary key (organization_id, number_key, text_id)
);
grant select, insert, delete on engine.text_codes to propty_engine;

reset role;
