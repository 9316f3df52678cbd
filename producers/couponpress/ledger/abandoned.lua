-- Take the chunks of a lane whose moment has passed from whoever had them: nobody took them up, or a lease ran out.
-- A lease that ran out is counted against its chunk, until a waiting spec of it gets an answer, or its worker turns out
-- to live.
-- KEYS[1] open chunks of the lane
-- ARGV[1] how many chunks   ARGV[2] prefix of chunk keys   ARGV[3] ms within which they are to be taken up
-- ARGV[4] after how many leases lost in a row a chunk becomes a dead letter
-- Returns the ids of those to publish, and the ids of those that become dead letters.
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local publish, dead = {}, {}
for _, chunk_id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(0', now_ms, 'LIMIT', 0, ARGV[1])) do
  local chunk = ARGV[2] .. chunk_id
  local owner, lost = unpack(redis.call('HMGET', chunk, 'owner', 'lost'))
  if owner then
    redis.call('HDEL', chunk, 'owner') -- else its new moment would read as the dead owner's lease
    redis.call('HSET', chunk, 'lost_by', owner)
    lost = redis.call('HINCRBY', chunk, 'lost', 1)
  end
  redis.call('ZADD', KEYS[1], now_ms + ARGV[3], chunk_id)
  local found = tonumber(lost or 0) >= tonumber(ARGV[4]) and dead or publish
  found[#found + 1] = chunk_id
end
return {publish, dead}
