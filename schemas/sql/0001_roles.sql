-- Three roles. Nobody logs in as them: a connection of the configured user takes one on with SET ROLE.
-- Roles belong to the whole server, so another database may be creating them at this moment.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['propty_owner', 'propty_engine', 'propty_query'] loop
        if not exists (select from pg_roles where rolname = wanted) then
            begin
                execute format('create role %I nologin noinherit nobypassrls', wanted);
            exception when duplicate_object or unique_violation then
                null;
            end;
        end if;
        -- Since PostgreSQL 16, who creates a role is its member without the right to SET ROLE.
        if not pg_has_role(current_user, wanted,
                case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end) then
            begin
                execute format('grant %I to %I', wanted, current_user);
            -- internal_error: "tuple concurrently updated", by another database's same grant
            exception when unique_violation or internal_error then
                null;
            end;
        end if;
    end loop;
end
$$;

create schema log authorization propty_owner;
create schema vault authorization propty_owner;
create schema engine authorization propty_owner;
create schema read authorization propty_engine;

grant usage on schema log, vault, engine to propty_engine;
grant usage on schema log, engine, read to propty_query;
do $$ begin execute format('grant create on database %I to propty_engine', current_database()); end $$;
