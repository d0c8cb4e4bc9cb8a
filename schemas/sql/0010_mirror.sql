-- Other databases that every event is appended to, and how far each has acknowledged it.
set role propty_owner;

create table engine.mirrors (
    name text primary key,
    -- acknowledged up to here
    global_position bigint not null,
    -- of the history that was mirrored: another one goes elsewhere
    incarnation integer not null,
    updated_at timestamptz not null default now(),
    -- why it stopped for good; gone as soon as it goes on
    stopped text
);
grant select, insert, update, delete on engine.mirrors to propty_engine;

reset role;
