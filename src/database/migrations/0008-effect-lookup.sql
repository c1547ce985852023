-- Every row has its place in the index, so that those of a deleted thread are found: global ones have no thread, and no two
-- of those are the same to it.
drop index baton.effects_identity;
create unique index effects_identity on baton.effects (thread_id, name, key, scope, place);
