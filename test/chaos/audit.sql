-- Every change of a run's status, by the database's clock: who had it, and in which attempt.
create table public.transitions (
  at            timestamptz not null default clock_timestamp(),
  run_id        uuid        not null,
  status        text        not null,
  attempt       integer     not null,
  worker_id     text,
  fencing_token bigint,
  parked        boolean     not null
);
create index on public.transitions (run_id, at);

create function public.note_transition() returns trigger language plpgsql as $$
begin
  insert into public.transitions (run_id, status, attempt, worker_id, fencing_token, parked)
  values (new.run_id, new.status, new.attempt, new.worker_id, new.fencing_token, new.waits_for is not null);
  return null;
end
$$;

create trigger note_transition after insert or update of status, fencing_token on baton.runs
  for each row execute function public.note_transition();
