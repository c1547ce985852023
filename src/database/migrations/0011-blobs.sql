-- A generation is never used again, not even for the same content: a late deletion of an old object never meets a new one.
create sequence baton.blob_generations;
-- Every time that a reference is made or made again; who releases one names the time that it saw.
create sequence baton.blob_touches;

-- Objects of the blob store, named `hash.gen` there.
create table baton.blobs (
  hash        text        collate "C" not null,
  gen         bigint      not null default nextval('baton.blob_generations'),
  -- pending: on its way. live: referred to once, so it is there. deleting: it goes, and nothing may refer to it any more
  state       text        not null default 'pending' check (state in ('pending', 'live', 'deleting')),
  -- Until then nobody collects it. Correctness does not rest on it: a writer that comes too late is told, and begins anew.
  lease_until timestamptz not null,
  bytes       bigint      not null,
  -- A reference to it may be missing: the collector looks at these only.
  loose       boolean     not null default true,
  primary key (hash, gen)
);
create unique index blobs_current on baton.blobs (hash) where state <> 'deleting';
create index blobs_loose on baton.blobs (lease_until) where loose;

-- Who uses an object. The foreign key is the count of references: no object that is referred to can be removed.
create table baton.blob_refs (
  thread_id  text        collate "C" not null,
  -- the id of a value of the thread's state, or of a file with `~` before it
  value_id   text        collate "C" not null,
  hash       text        collate "C" not null,
  gen        bigint      not null,
  touch      bigint      not null default nextval('baton.blob_touches'),
  -- When it was made, or found to be in use.
  seen_at    timestamptz not null default now(),
  -- Of a file: its name and type, through the codec of the thread's store.
  about      bytea,
  primary key (thread_id, value_id),
  foreign key (hash, gen) references baton.blobs (hash, gen) on delete restrict
);
create index blob_refs_object on baton.blob_refs (hash, gen);
create index blob_refs_seen on baton.blob_refs (seen_at);

-- Written into the blob store, so that no two databases take each other's objects for garbage.
create table baton.blob_owner (owner_id uuid primary key default gen_random_uuid());
insert into baton.blob_owner default values;
