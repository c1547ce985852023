-- What runs used: a row for each call of a model, and one for each execution of a node that is worth it. Without a reference
-- to the run: what was spent by one that was undone was spent.
create table baton.usage (
  usage_id           uuid        primary key,
  thread_id          uuid        not null references baton.threads on delete cascade,
  run_id             uuid        not null,
  graph_id           text        not null,
  kind               text        not null check (kind in ('call', 'node')),
  node               text        not null,
  -- calls belong to the execution of the node that made them
  execution_id       uuid        not null,
  task_id            text        not null,
  checkpoint_id      text        collate "C",
  model              text,
  input_tokens       bigint      not null,
  output_tokens      bigint      not null,
  cache_read_tokens  bigint      not null,
  cache_write_tokens bigint      not null,
  -- in US dollars; null: the price is not known
  cost               numeric(24, 12),
  seconds            float8,
  finished           boolean     not null,
  -- whether a lost attempt's work was still there for the next one; null while no attempt was lost after it
  saved              boolean,
  created_at         timestamptz not null default now()
);
create index usage_of_thread on baton.usage (thread_id, run_id);
create index usage_of_graph on baton.usage (graph_id);
