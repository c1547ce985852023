-- The order in which the runs of a thread began, and changes of its state by hand were made: what a reader of the whole
-- thread goes by. `position` does not tell it, since a delayed run begins after one that was asked for later.
create sequence baton.turn;
alter table baton.runs add column turn bigint;
update baton.runs r set turn = begun.turn
from (
  select run_id, row_number() over (order by coalesce(started_at, ended_at), position) turn
  from baton.runs where started_at is not null or ended_at is not null
) begun where begun.run_id = r.run_id;
select setval('baton.turn', (select coalesce(max(turn), 0) + 1 from baton.runs));
create index runs_turns on baton.runs (thread_id, turn) where turn is not null;

-- Changes of a thread's state by hand: where they led to.
create table baton.thread_changes (
  thread_id  uuid        not null references baton.threads on delete cascade,
  turn       bigint      not null default nextval('baton.turn'),
  checkpoint json        not null,
  created_at timestamptz not null default now(),
  primary key (thread_id, turn)
);
