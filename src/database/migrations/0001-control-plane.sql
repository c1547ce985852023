-- Assistants: a graph with a configuration. The row is the version in force; assistant_versions keeps all of them.
create table baton.assistants (
  assistant_id uuid primary key,
  graph_id     text        not null,
  name         text        not null,
  description  text,
  config       jsonb       not null default '{}',
  context      jsonb       not null default '{}',
  metadata     jsonb       not null default '{}',
  version      integer     not null default 1,
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now()
);
create index assistants_metadata on baton.assistants using gin (metadata jsonb_path_ops);
create index assistants_graph on baton.assistants (graph_id);

create table baton.assistant_versions (
  assistant_id uuid        not null references baton.assistants on delete cascade,
  version      integer     not null,
  graph_id     text        not null,
  name         text        not null,
  description  text,
  config       jsonb       not null,
  context      jsonb       not null,
  metadata     jsonb       not null,
  created_at   timestamptz not null default now(),
  primary key (assistant_id, version)
);

-- `json`, not `jsonb`, where a node's output is kept: jsonb refuses \u0000, and a person's document may hold one.
create table baton.threads (
  thread_id        uuid        primary key,
  status           text        not null default 'idle' check (status in ('idle', 'busy', 'interrupted', 'error')),
  -- what the status is while no run is waiting or running: 'busy' can always be derived again
  resting_status   text        not null default 'idle' check (resting_status in ('idle', 'interrupted', 'error')),
  -- made for one stateless run; swept when that run has ended
  temporary        boolean     not null default false,
  metadata         jsonb       not null default '{}',
  config           jsonb       not null default '{}',
  values           json        not null default 'null',
  interrupts       json        not null default '{}',
  error            json        not null default 'null',
  created_at       timestamptz not null default now(),
  updated_at       timestamptz not null default now(),
  state_updated_at timestamptz not null default now()
);
create index threads_metadata on baton.threads using gin (metadata jsonb_path_ops);
create index threads_created on baton.threads (created_at desc, thread_id);
create index threads_updated on baton.threads (updated_at desc, thread_id);
create index threads_status on baton.threads (status, created_at desc);
create index threads_temporary on baton.threads (updated_at) where temporary;

-- Threads whose row is gone and whose state may still be there: after a crash in between, the sweeper goes on with it.
create table baton.deleted_threads (
  thread_id  uuid        primary key,
  deleted_at timestamptz not null default now()
);

-- A search by values can't see a value that jsonb refuses: such a thread does not match, and nothing fails.
create function baton.searchable(value json) returns jsonb language plpgsql immutable parallel safe as $$
begin
  return value::jsonb;
exception when others then
  return null;
end
$$;

-- The run row is the queue: there is no second place where a job could be lost or be twice.
create table baton.runs (
  run_id             uuid        primary key,
  thread_id          uuid        not null references baton.threads on delete cascade,
  assistant_id       uuid        not null,
  graph_id           text        not null,
  status             text        not null check (status in ('pending', 'running', 'success', 'error', 'timeout', 'interrupted')),
  kwargs             json        not null,
  metadata           jsonb       not null default '{}',
  multitask_strategy text        not null,
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now(),
  -- first come, first served within a thread
  position           bigint      generated always as identity,
  available_at       timestamptz not null default now(),
  worker_id          text,
  -- by the database's clock only
  lease_until        timestamptz,
  -- from baton.fencing_token at each claim; a write that carries an older one is refused
  fencing_token      bigint,
  attempt            integer     not null default 0,
  -- attempts since the state last moved, and where it stood then
  idle_attempts      integer     not null default 0,
  progress           text,
  cancel_action      text        check (cancel_action in ('interrupt', 'pause', 'rollback')),
  error              json,
  started_at         timestamptz,
  ended_at           timestamptz
);
create unique index runs_one_running_per_thread on baton.runs (thread_id) where status = 'running';
create index runs_pending on baton.runs (available_at, position) where status = 'pending';
create index runs_leases on baton.runs (lease_until) where status = 'running';
create index runs_of_thread on baton.runs (thread_id, position desc);
create index runs_active_of_thread on baton.runs (thread_id, position) where status in ('pending', 'running');

create sequence baton.fencing_token;

-- What a client has seen is in every later replay, under the same number.
create table baton.run_events (
  run_id     uuid        not null references baton.runs on delete cascade,
  seq        integer     not null,
  event      text        not null,
  data       text        not null,
  created_at timestamptz not null default now(),
  primary key (run_id, seq)
);
