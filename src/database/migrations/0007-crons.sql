create table baton.crons (
  cron_id          uuid        primary key,
  assistant_id     uuid        not null references baton.assistants on delete cascade,
  thread_id        uuid        references baton.threads on delete cascade,
  on_run_completed text        check (on_run_completed in ('delete', 'keep')),
  schedule         text        not null,
  timezone         text,
  end_time         timestamptz,
  enabled          boolean     not null default true,
  payload          json        not null,
  metadata         jsonb       not null default '{}',
  -- by the database's clock; null when it is disabled or has ended
  next_run_date    timestamptz,
  -- a tick and a change take effect only on the revision that they were decided on: so no tick is taken twice
  revision         integer     not null default 0,
  -- who made it: its runs are his
  auth_user        json,
  has_key          boolean     not null,
  headers          jsonb       not null,
  created_at       timestamptz not null default now(),
  updated_at       timestamptz not null default now()
);
create index crons_due on baton.crons (next_run_date) where next_run_date is not null;
create index crons_of_thread on baton.crons (thread_id);
create index crons_of_assistant on baton.crons (assistant_id);
create index crons_metadata on baton.crons using gin (metadata jsonb_path_ops);
create index crons_created on baton.crons (created_at desc, cron_id);
