-- Which residents a telephone number may speak for. Written before the first text goes there; never emptied, so that a late STOP
-- still finds whom it concerns.
set role propty_owner;

create table engine.text_recipients (
    organization_id uuid not null,
    -- keyed hash of the number, another one in each organization
    number_key uuid not null,
    resident_id uuid not null,
    primary key (organization_id, number_key, resident_id)
);
grant select, insert, update, delete on engine.text_recipients to propty_engine;

reset role;
