-- The latest checkpoint of a thread is the one that was stored last. Its id is made of a worker's clock, which may be wrong.
create index checkpoints_stored_order on baton_state.checkpoints (thread_id, checkpoint_ns, seq);
