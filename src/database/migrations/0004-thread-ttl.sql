-- How long a thread is kept; null: until somebody deletes it.
alter table baton.threads
  add column ttl_minutes double precision check (ttl_minutes > 0),
  add column expires_at timestamptz;
create index threads_expiring on baton.threads (expires_at) where expires_at is not null;
