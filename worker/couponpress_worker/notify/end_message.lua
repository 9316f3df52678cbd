-- Note what a call to a target came to.
-- KEYS[1] queue of the target   KEYS[2] call of the target   KEYS[3] rest of its robot
-- ARGV[1] who called   ARGV[2] '1' to put what it told back, to be told again   ARGV[3] ms for which the robot rests
-- ARGV[4] what it answered, '' when it took the message   ARGV[5] TTL, s
-- Returns 1, or 0 when the call counted as broken off, and another process has its entries.
if redis.call('HGET', KEYS[2], 'owner') ~= ARGV[1] then return 0 end
local count, tries = unpack(redis.call('HMGET', KEYS[2], 'count', 'tries'))
if ARGV[2] == '1' then
  for i = tonumber(count), 1, -1 do redis.call('LPUSH', KEYS[1], redis.call('HGET', KEYS[2], tostring(i))) end
  redis.call('EXPIRE', KEYS[1], ARGV[5])
end
redis.call('DEL', KEYS[2])
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[2], 'tries', (tries or 0) + 1, 'objection', ARGV[4])
  redis.call('EXPIRE', KEYS[2], ARGV[5])
end
if tonumber(ARGV[3]) > 0 then redis.call('SET', KEYS[3], '1', 'PX', ARGV[3]) end
return 1
