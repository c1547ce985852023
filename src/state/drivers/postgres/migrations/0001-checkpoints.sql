-- Both tables number their rows from one sequence: it is the order in which a thread's writes were stored.
create sequence baton_state.stored_order;

-- One row a step. `body` holds the checkpoint, its metadata and its small values; nothing in it is ever searched.
create table baton_state.checkpoints (
  thread_id text collate "C" not null,
  checkpoint_ns text collate "C" not null,
  checkpoint_id text collate "C" not null,
  parent_id text collate "C",
  run_id text collate "C",
  seq bigint not null default nextval('baton_state.stored_order'),
  -- The metadata once more, for filters only.
  metadata jsonb not null,
  -- The big values that the row refers to.
  value_ids text[] not null,
  body bytea not null,
  -- The writes after the parent that were stored together with this row.
  parent_writes bytea,
  primary key (thread_id, checkpoint_ns, checkpoint_id)
);
create index checkpoints_with_parent_writes on baton_state.checkpoints (thread_id, checkpoint_ns, parent_id)
  where parent_writes is not null;

-- Writes that were stored before a child of their checkpoint: of an unfinished step, of a question, of an answer.
create table baton_state.writes (
  thread_id text collate "C" not null,
  checkpoint_ns text collate "C" not null,
  checkpoint_id text collate "C" not null,
  seq bigint not null default nextval('baton_state.stored_order'),
  task_id text collate "C" not null,
  task_path text collate "C" not null,
  run_id text collate "C",
  value_ids text[] not null,
  body bytea not null,
  primary key (thread_id, checkpoint_ns, checkpoint_id, seq)
);

-- Big values, once for each content. The id is made of the content, so branches never collide.
create table baton_state.values (
  thread_id text collate "C" not null,
  id text collate "C" not null,
  body bytea not null,
  primary key (thread_id, id)
);

-- Who may write a thread: only the holder of this token or of a newer one.
create table baton_state.fences (
  thread_id text collate "C" primary key,
  token bigint not null
);

-- Where this Postgres has it: a megabyte takes a fifth of the time to write and to read.
do $$
begin
  alter table baton_state.checkpoints alter column body set compression lz4;
  alter table baton_state.writes alter column body set compression lz4;
  alter table baton_state.values alter column body set compression lz4;
exception when feature_not_supported or syntax_error then
  null;
end
$$;
