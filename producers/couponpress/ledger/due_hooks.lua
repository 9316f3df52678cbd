-- Take up the hooks that are due of finished runs. The others are looked at again later. A run that no longer exists
-- loses its hook.
-- KEYS[1] hooks
-- ARGV[1] how many are looked at   ARGV[2] prefix of run keys   ARGV[3] ms until an unfinished run is looked at again
-- ARGV[4] the same for a run whose end was told   ARGV[5] the same for one taken up now, without a result
-- Returns {run number, {field, value, ...}, ...} of those taken up.
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local taken = {}
for _, number in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], 0, now_ms, 'LIMIT', 0, ARGV[1])) do
  local run = ARGV[2] .. number
  local name, finished, uploading, told = unpack(redis.call('HMGET', run, 'name', 'finished_ms', 'uploading', 'hook_told_ms'))
  local again = ARGV[3]
  if not name then
    redis.call('ZREM', KEYS[1], number)
  else
    if finished and tonumber(uploading or 0) == 0 then
      if told == finished then
        again = ARGV[4]
      else
        again = ARGV[5]
        taken[#taken + 1] = number
        taken[#taken + 1] = redis.call('HGETALL', run)
      end
    end
    redis.call('ZADD', KEYS[1], now_ms + again, number)
  end
end
return taken
