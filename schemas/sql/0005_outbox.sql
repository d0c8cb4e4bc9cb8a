-- How often a person had a row tried again: what gives up after so many rounds begins to count anew.
set role propty_owner;
alter table engine.outbox add column resumed integer not null default 0;
reset role;
