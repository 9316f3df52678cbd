-- Take a chunk in hand. The message that led here was only a hint: the chunk decides.
-- KEYS[1] chunk   KEYS[2] open chunks of its lane   KEYS[3] holds
-- ARGV[1] chunk id   ARGV[2] owner   ARGV[3] lease, ms   ARGV[4] scope of its run's hold   ARGV[5] score of held chunks
-- Returns {'leased', rows, states, tries}, or {why not}: 'nothing', 'taken', 'held'.
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not score then return {'nothing'} end
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local chunk = redis.call('HMGET', KEYS[1], 'z', 's', 't', 'owner', 'kept')
if chunk[4] and tonumber(score) > now_ms then return {'taken'} end
if not (chunk[2] and string.find(chunk[2], 'w', 1, true)) then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('HDEL', KEYS[1], 'owner')
  return {'nothing'}
end
if redis.call('HEXISTS', KEYS[3], 'partner') == 1 or redis.call('HEXISTS', KEYS[3], ARGV[4]) == 1 then
  redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
  redis.call('HDEL', KEYS[1], 'owner', 'kept')
  return {'held'}
end
redis.call('HSET', KEYS[1], 'owner', ARGV[2])
if chunk[5] then redis.call('HDEL', KEYS[1], 'kept') end -- whether brands keep it back is found out anew
redis.call('ZADD', KEYS[2], now_ms + ARGV[3], ARGV[1])
return {'leased', chunk[1], chunk[2], chunk[3]}
