-- Note the result of one attempt to tell somebody that a run is finished.
-- KEYS[1] run   KEYS[2] hooks
-- ARGV[1] run number   ARGV[2] the finish that was told, ms; '' when it failed   ARGV[3] ms until the next look
-- ARGV[4] why the attempt failed
-- Returns nothing. A run that no longer exists is left alone.
if redis.call('HEXISTS', KEYS[1], 'name') == 0 then return end
local now = redis.call('TIME')
redis.call('ZADD', KEYS[2], now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[3], ARGV[1])
if ARGV[2] == '' then
  redis.call('HSET', KEYS[1], 'hook_objection', ARGV[4])
  redis.call('HINCRBY', KEYS[1], 'hook_tries', 1)
else
  redis.call('HSET', KEYS[1], 'hook_told_ms', ARGV[2])
  redis.call('HDEL', KEYS[1], 'hook_tries', 'hook_objection')
end
