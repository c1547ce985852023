-- Removes all of a thread.
redis.call('unlink', unpack(KEYS))
