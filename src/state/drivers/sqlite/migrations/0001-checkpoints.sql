create table threads (
  number integer primary key,
  thread_id text not null unique,
  -- Who may write it: only the holder of this token or of a newer one. Null: nobody who carries a token.
  token integer
) strict;

-- One row a step. `body` holds the checkpoint, its metadata and its small values; nothing in it is ever searched.
create table checkpoints (
  -- The order of storing: the latest checkpoint of a thread is the one that was stored last.
  seq integer primary key,
  thread integer not null references threads on delete cascade,
  checkpoint_ns text not null,
  checkpoint_id text not null,
  parent_id text,
  run_id text,
  -- The metadata once more, for filters only.
  metadata text not null,
  -- The big values that the row refers to, as a JSON array.
  value_ids text not null,
  deltas integer not null,
  -- Milliseconds since 1970, by this machine's clock.
  stored_at integer not null default (cast(unixepoch('subsec') * 1000 as integer)),
  body blob not null,
  unique (thread, checkpoint_ns, checkpoint_id)
) strict;
-- With the rowid that ends every index: in the order of storing.
create index checkpoints_in_order on checkpoints (thread, checkpoint_ns);

create table writes (
  seq integer primary key,
  thread integer not null references threads on delete cascade,
  checkpoint_ns text not null,
  checkpoint_id text not null,
  task_id text not null,
  task_path text not null,
  run_id text,
  value_ids text not null,
  body blob not null
) strict;
create index writes_by_checkpoint on writes (thread, checkpoint_ns, checkpoint_id);

-- Big values, once for each content. The id is made of the content, so branches never collide.
-- With rowids: without them bodies lie in the index, which reads 2-3 times and writes 1.3-1.9 times as long.
create table big_values (
  thread integer not null references threads on delete cascade,
  id text not null,
  body blob not null,
  primary key (thread, id)
) strict;
