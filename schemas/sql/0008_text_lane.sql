-- Programme texts are claimed at a pace of their own, so that they hold up nothing else.
set role propty_owner;

alter table engine.outbox drop constraint outbox_lane_check;
alter table engine.outbox add constraint outbox_lane_check check (lane in ('prompt', 'paced', 'texts'));

reset role;
