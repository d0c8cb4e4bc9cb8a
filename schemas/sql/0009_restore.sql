-- A history that was restored from a backup: nobody works until a person has accepted it.
set role propty_owner;
alter table engine.installation
    -- the database's identity and timeline under which the history was begun or last accepted
    add column cluster text,
    -- machine clock: since when workers stand still
    add column quarantined_since timestamptz,
    -- machine clock: what was done at providers between this and the acceptance may be missing in the history
    add column restored_to timestamptz,
    add column restored_at timestamptz;
reset role;
