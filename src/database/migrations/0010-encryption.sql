-- The key of each thread, wrapped by a key of BATON_KEYS; of no thread: the server's own, which also shows whether BATON_KEYS
-- is right. Empty where no store is encrypted.
create table baton.thread_keys (
  thread_id  text        primary key,
  key_id     uuid        not null unique,
  -- which key of BATON_KEYS
  kek_id     text        not null,
  wrapped    bytea       not null,
  created_at timestamptz not null default now()
);
create index thread_keys_of_kek on baton.thread_keys (kek_id, thread_id);

-- A trigger, so that no statement can delete a thread and leave what is left of it readable.
create function baton.shred_thread() returns trigger language plpgsql as $$
begin
  delete from baton.thread_keys where thread_id = old.thread_id::text;
  return null;
end
$$;
create trigger shred_deleted_thread after delete on baton.threads for each row execute function baton.shred_thread();
