-- Who asked for a run, as its nodes see them. Of the worker's concern only, and cleared when the run has ended.
alter table baton.runs add column auth_user json;
