alter table baton.runs add column webhook text generated always as (kwargs->>'webhook') stored;

-- The outbox: what is to be told of runs that have ended. It outlives its run and its thread.
create table baton.webhook_deliveries (
  delivery_id     uuid        primary key default gen_random_uuid(),
  run_id          uuid        not null unique,
  thread_id       uuid        not null,
  url             text        not null,
  -- whom too many deliveries at once would burden; empty for the project's own app
  host            text        not null generated always as
    (coalesce(lower(substring(url from '^https?://(?:[^/?#]*@)?([^/?#]+)')), '')) stored,
  -- JSON as it is sent, but for the time of sending
  payload         text        not null,
  -- the thread's, for whoever asks when the thread is gone
  metadata        jsonb       not null,
  -- of all times; `tries` counts from the end of the run or the latest resend
  attempts        integer     not null default 0,
  tries           integer     not null default 0,
  -- also the lease of an attempt that is under way
  next_attempt_at timestamptz default now(),
  last_status     integer,
  last_error      text,
  created_at      timestamptz not null default now(),
  delivered_at    timestamptz,
  dead_at         timestamptz,
  status          text        not null generated always as
    (case when delivered_at is not null then 'delivered' when dead_at is not null then 'dead' else 'pending' end) stored
);
create index webhook_deliveries_due on baton.webhook_deliveries (next_attempt_at) where status = 'pending';
create index webhook_deliveries_waiting on baton.webhook_deliveries (created_at) where status = 'pending';
create index webhook_deliveries_ended on baton.webhook_deliveries (coalesce(delivered_at, dead_at)) where status <> 'pending';
create index webhook_deliveries_created on baton.webhook_deliveries (created_at desc, delivery_id);
create index webhook_deliveries_of_thread on baton.webhook_deliveries (thread_id);

create function baton.wire_time(at timestamptz) returns text language sql stable parallel safe as $$
  select to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

-- A trigger, so that no statement can end a run with a webhook and forget it; deferred, so that it sees the thread as the
-- transaction leaves it. Nothing here may fail: the run could not end.
create function baton.queue_webhook() returns trigger language plpgsql as $$
declare
  run    baton.runs;
  thread record;
begin
  if tg_op = 'DELETE' then
    run := old;
    run.status := 'interrupted';
    run.error := '{"error":"RunRemoved","message":"The run was rolled back or deleted"}';
    run.updated_at := now();
    run.ended_at := now();
  else
    run := new;
  end if;
  select t.metadata, t.values, t.interrupts into thread from baton.threads t where t.thread_id = run.thread_id;
  insert into baton.webhook_deliveries (run_id, thread_id, url, metadata, payload)
  values (run.run_id, run.thread_id, run.webhook, coalesce(thread.metadata, '{}'), json_build_object(
    'run_id', run.run_id,
    'thread_id', run.thread_id,
    'assistant_id', run.assistant_id,
    'created_at', baton.wire_time(run.created_at),
    'updated_at', baton.wire_time(run.updated_at),
    'status', run.status,
    'metadata', run.metadata,
    'kwargs', run.kwargs,
    'multitask_strategy', run.multitask_strategy,
    'run_started_at', baton.wire_time(run.started_at),
    'run_ended_at', baton.wire_time(run.ended_at),
    'error', run.error,
    -- a run that never began, or was undone, has left nothing
    'values', case when tg_op = 'UPDATE' and run.started_at is not null then thread.values end,
    'interrupts', case when tg_op = 'UPDATE' and run.started_at is not null then thread.interrupts end
  )::text)
  on conflict (run_id) do nothing;
  perform pg_notify('baton_webhooks', '');
  return null;
end
$$;

create constraint trigger webhook_of_ended_run after update of status on baton.runs deferrable initially deferred
  for each row when (new.webhook is not null and old.status in ('pending', 'running') and new.status not in ('pending', 'running'))
  execute function baton.queue_webhook();
create constraint trigger webhook_of_removed_run after delete on baton.runs deferrable initially deferred
  for each row when (old.webhook is not null and old.status in ('pending', 'running'))
  execute function baton.queue_webhook();
