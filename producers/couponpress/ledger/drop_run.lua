-- Delete a run without specs, unless another upload into it is going on.
-- KEYS[1] run   KEYS[2] run numbers   KEYS[3] runs   KEYS[4] upload lock   KEYS[5] holds
-- KEYS[6] the run's brands
-- ARGV[1] run number   ARGV[2] scope of its hold
-- Returns 1, or 0 when the run was not deleted.
local name, total, uploading = unpack(redis.call('HMGET', KEYS[1], 'name', 'total', 'uploading'))
if not name or tonumber(total or 0) > 0 or tonumber(uploading or 0) > 0 then return 0 end
if redis.call('EXISTS', KEYS[4]) == 1 then return 0 end
redis.call('HDEL', KEYS[2], name)
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[5], ARGV[2])
redis.call('DEL', KEYS[1], KEYS[6])
return 1
