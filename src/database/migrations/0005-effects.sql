-- What nodes did to the world or wait for: written before a node goes on, and read when it is executed again.
create table baton.effects (
  effect_id       uuid        primary key,
  kind            text        not null check (kind in ('effect', 'sleep', 'event')),
  scope           text        not null check (scope in ('step', 'thread', 'global')),
  -- A global effect outlives the thread that did it: its business key must not be used twice.
  thread_id       uuid        references baton.threads on delete cascade check (thread_id is not null or scope = 'global'),
  -- where in the graph's run, of scope step; else empty
  place           text        not null,
  -- the place as it is in every branch of the thread
  site            text        not null,
  name            text        not null,
  key             text        not null,
  args_hash       text,
  status          text        not null check (status in ('started', 'waiting', 'done', 'failed')),
  attempts        integer     not null default 1,
  idempotency_key text        not null,
  -- who executes it, or did so last
  run_id          uuid        not null,
  by_thread_id    uuid        not null,
  fencing_token   bigint      not null,
  node            text        not null,
  checkpoint_id   text,
  result          bytea,
  error           json,
  -- a waiting one goes on then; null: when an event comes
  wake_at         timestamptz,
  -- how often a person was asked whether it had happened, how often that was acted upon, and in which step
  asks            integer     not null default 0,
  answers         integer     not null default 0,
  asked_in        text,
  reused_from     uuid,
  started_at      timestamptz not null default now(),
  ended_at        timestamptz
);
create unique index effects_identity on baton.effects (thread_id, name, key, scope, place) where scope <> 'global';
create unique index effects_global on baton.effects (name, key) where scope = 'global';
create index effects_of_thread on baton.effects (by_thread_id, started_at);

-- What was told to a thread, in the order in which it came; a node that waits for it takes it.
create table baton.thread_events (
  thread_id   uuid        not null references baton.threads on delete cascade,
  position    bigint      generated always as identity,
  name        text        not null,
  payload     json        not null,
  -- the sender's: the same one told twice counts once
  event_id    text,
  taken_by    uuid,
  created_at  timestamptz not null default now(),
  primary key (thread_id, position),
  unique (thread_id, event_id)
);
create index thread_events_waiting on baton.thread_events (thread_id, name, position) where taken_by is null;

-- What a run waits for that has given up its worker until then; null: nothing.
alter table baton.runs add column waits_for json;
