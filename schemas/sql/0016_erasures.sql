-- Who was erased when, found by the log itself: what comes late to a row of a read model is emptied as well. And no hash stays of what
-- a command said that could be tried against a guess.
set role propty_owner;
create index entries_erasures on log.entries (organization_id, aggregate_id, global_position)
    where event_type = 'ResidentErased';
-- They were SHA-256 of the bodies, some kept for good; from now on they are keyed. An empty one goes with any body.
update log.idempotency set body = '';
reset role;
