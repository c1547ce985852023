-- A worker of before this column does not say whether its rows are made of what their ancestors wrote: then they may be, and
-- whoever prunes opens them.
alter table baton_state.checkpoints alter column deltas set default true;
