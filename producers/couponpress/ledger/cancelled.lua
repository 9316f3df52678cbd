-- Note that a chunk was cancelled with its run. Its accepted specs go on, but no spec of it is sent again.
-- KEYS[1] chunk
-- Returns 1, or 0 when that was noted before.
return redis.call('HSETNX', KEYS[1], 'cancelled', 1)
