-- Extend a lease.
-- KEYS[1] chunk   KEYS[2] open chunks of its lane
-- ARGV[1] chunk id   ARGV[2] owner   ARGV[3] lease, ms
-- Returns 1, or 0 when the lease is lost: then nothing more of the chunk may be sent.
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[2] then return 0 end
local now = redis.call('TIME')
redis.call('ZADD', KEYS[2], now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[3], ARGV[1])
return 1
