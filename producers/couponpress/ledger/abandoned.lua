-- Find the chunks of a lane whose moment has passed: nobody took them up in time, or their lease expired. An expired
-- lease is ended here and counted for its chunk. The count is reset when a waiting spec of the chunk gets an answer,
-- and goes back by one when the worker turns out to be alive.
-- Those to publish are made ready, whatever took them out of there.
-- Needs flows.lua
-- KEYS[1] open chunks of the lane   KEYS[2] flows of the lane
-- ARGV[1] how many chunks   ARGV[2] prefix of chunk keys   ARGV[3] ms within which they are to be taken up
-- ARGV[4] after how many leases lost in a row a chunk becomes a dead letter
-- Returns the ids of those to publish, and the ids of those that become dead letters.
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local publish, dead = {}, {}
for _, chunk_id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(0', now_ms, 'LIMIT', 0, ARGV[1])) do
  local chunk = ARGV[2] .. chunk_id
  local owner, lost, flow_field = unpack(redis.call('HMGET', chunk, 'owner', 'lost', 'flow'))
  if owner then
    redis.call('HDEL', chunk, 'owner') -- else the new moment would look like a lease of the dead owner
    redis.call('HSET', chunk, 'lost_by', owner)
    lost = redis.call('HINCRBY', chunk, 'lost', 1)
  end
  redis.call('ZADD', KEYS[1], now_ms + ARGV[3], chunk_id)
  local found = tonumber(lost or 0) >= tonumber(ARGV[4]) and dead or publish
  found[#found + 1] = chunk_id
  local flow, number = flow_of(chunk_id, flow_field)
  if found == publish then make_ready(KEYS[2], flow, number, {chunk_id}) else make_unready(KEYS[2], flow, number, chunk_id) end
end
return {publish, dead}
