-- End a lease: close the chunk, or leave its rest for another lease.
-- KEYS[1] chunk   KEYS[2] open chunks of its lane
-- ARGV[1] chunk id   ARGV[2] owner   ARGV[3] ms within which the rest is to be taken up
-- Returns how many specs of the chunk still wait to be sent, or -1 when the lease was lost.
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[2] then return -1 end
redis.call('HDEL', KEYS[1], 'owner')
local _, waiting = string.gsub(redis.call('HGET', KEYS[1], 's'), 'w', '')
if waiting == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
else
  local now = redis.call('TIME')
  redis.call('ZADD', KEYS[2], now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[3], ARGV[1])
end
return waiting
