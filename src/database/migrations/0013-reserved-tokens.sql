-- The token of the last change by hand: beside those of the runs, what a state store without fences of its own is guarded by.
alter table baton.threads add column reserved_token bigint;
