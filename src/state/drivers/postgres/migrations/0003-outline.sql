-- What pruning asks of a row without opening it. Rows that are here already count as stored now.
alter table baton_state.checkpoints
  add column stored_at timestamptz not null default now(),
  add column deltas boolean not null default false,
  -- The big values that parent_writes refers to. Null beside writes of before this column: they are among value_ids.
  add column parent_value_ids text[];
update baton_state.checkpoints set deltas = true
  where metadata ? 'counters_since_delta_snapshot' or metadata ? 'delta_writes_versioned';

-- Such a row is the parent_writes of a child that was removed.
alter table baton_state.writes add column folded boolean not null default false;
