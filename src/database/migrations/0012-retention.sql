-- What happens when a thread's time is over: it goes, or its history does, again and again.
alter table baton.threads
  add column ttl_strategy text not null default 'delete' check (ttl_strategy in ('delete', 'keep_latest')),
  -- when its history was last pruned by itself
  add column pruned_at timestamptz;

-- Checkpoints that stay, whatever is pruned.
create table baton.bookmarks (
  bookmark_id   uuid        primary key,
  thread_id     uuid        not null references baton.threads on delete cascade,
  checkpoint_ns text        not null,
  checkpoint_id text        not null,
  name          text        not null,
  created_at    timestamptz not null default now()
);
create index bookmarks_of_thread on baton.bookmarks (thread_id, created_at);

-- Of an effect whose checkpoint was pruned: the nearest later checkpoint of its branch that is left.
alter table baton.effects add column led_to text;

-- When the log of a run that had ended was cut down to what it came to.
alter table baton.runs add column log_cut_at timestamptz;
create index runs_with_logs on baton.runs (ended_at) where ended_at is not null and log_cut_at is null;
create index runs_ended on baton.runs (ended_at) where ended_at is not null;
create index effects_global_ended on baton.effects (ended_at) where scope = 'global' and ended_at is not null;
create index thread_events_taken on baton.thread_events (created_at) where taken_by is not null;
