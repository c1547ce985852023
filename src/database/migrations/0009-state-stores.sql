-- Where a thread's state is kept, settled by its first run or change: '' = the default store, else the graph whose store it
-- is. Null: it has no state yet. So far there was one store for all.
alter table baton.threads add column state_store text default '';
alter table baton.threads alter column state_store drop default;
-- The row that knew it is gone, and the state may be left.
alter table baton.deleted_threads add column state_store text;
