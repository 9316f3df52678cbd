-- Note that a chunk was cancelled with its run: what the platform has accepted goes on, but is not sent again.
-- KEYS[1] chunk
-- Returns 1, or 0 when it was noted before.
return redis.call('HSETNX', KEYS[1], 'cancelled', 1)
