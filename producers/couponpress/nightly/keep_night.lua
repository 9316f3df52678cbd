-- Renew the caller's claim of a night, or note the night's result.
-- KEYS[1] night   KEYS[2] open nights   KEYS[3] changes of nights
-- ARGV[1] run   ARGV[2] owner   ARGV[3] lease, ms; 0 ends the claim   ARGV[4] how long it is remembered, s
-- ARGV[5] its new state, '' to leave it   ARGV[6..] fields and their values
-- Returns 1, or 0 when another process has the night or it is over.
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[2] then return 0 end
if #ARGV > 5 then redis.call('HSET', KEYS[1], unpack(ARGV, 6)) end
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
if ARGV[5] ~= '' then
  redis.call('ZADD', KEYS[3], now_ms, ARGV[1])
  redis.call('HSET', KEYS[1], 'state', ARGV[5], 'taken', 0)
  if ARGV[5] ~= 'claimed' and ARGV[5] ~= 'sent' then redis.call('ZREM', KEYS[2], ARGV[1]) end
end
if tonumber(ARGV[3]) == 0 then
  redis.call('HDEL', KEYS[1], 'owner', 'until_ms')
else
  redis.call('HSET', KEYS[1], 'until_ms', now_ms + ARGV[3])
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
