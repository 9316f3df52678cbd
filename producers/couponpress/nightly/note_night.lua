-- Note in a run what its schedule found; run webhooks tell it when the run is finished.
-- KEYS[1] run
-- ARGV[1] JSON
-- Returns 1, or 0 when the run no longer exists.
if redis.call('HEXISTS', KEYS[1], 'name') == 0 then return 0 end
redis.call('HSET', KEYS[1], 'night', ARGV[1])
return 1
