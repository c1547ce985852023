-- What events of a run have in common, as states after each step do: stored once for each run. The data of an event that
-- has parts is only how it begins; they go on, in their order.
create table baton.run_event_parts (
  run_id uuid not null references baton.runs on delete cascade,
  id     text not null,
  data   text not null,
  primary key (run_id, id)
);
alter table baton.run_events add column parts text[];
