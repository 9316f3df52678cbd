-- Take the chunks of a lane whose moment has passed from whoever had them: nobody took them up, or a lease ran out.
-- KEYS[1] open chunks of the lane
-- ARGV[1] how many chunks   ARGV[2] prefix of chunk keys   ARGV[3] ms within which they are to be taken up
-- Returns their ids.
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '(0', now_ms, 'LIMIT', 0, ARGV[1])
for _, chunk_id in ipairs(found) do
  redis.call('HDEL', ARGV[2] .. chunk_id, 'owner') -- else its new moment would read as the dead owner's lease
  redis.call('ZADD', KEYS[1], now_ms + ARGV[3], chunk_id)
end
return found
