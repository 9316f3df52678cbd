-- Forget a run whose chunks are all forgotten.
-- KEYS[1] run   KEYS[2] run numbers   KEYS[3] runs   KEYS[4] finished runs   KEYS[5] reasons
-- KEYS[6] upload lock   KEYS[7] holds
-- ARGV[1] run number   ARGV[2] scope of its hold
-- Returns 1, or 0 when the run is no longer finished or an upload into it is open.
if redis.call('EXISTS', KEYS[6]) == 1 or tonumber(redis.call('HGET', KEYS[1], 'uploading') or 0) > 0 then return 0 end
if redis.call('ZREM', KEYS[4], ARGV[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[7], ARGV[2])
redis.call('HDEL', KEYS[2], redis.call('HGET', KEYS[1], 'name'))
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[1], KEYS[5])
return 1
