-- Open up to ARGV[2] chunks of a finished upload, so that they are submitted.
-- Needs flows.lua
-- KEYS[1] run   KEYS[2] open chunks of the lane   KEYS[3] staged chunks   KEYS[4] finished runs   KEYS[5] upload lock
-- KEYS[6] counts of all runs   KEYS[7] waiting since, of the lane   KEYS[8] flows of the lane
-- ARGV[1] run number   ARGV[2] how many chunks   ARGV[3] prefix of chunk keys   ARGV[4] upload token
-- ARGV[5] upload lock, seconds
-- Returns the ids of the opened chunks, none when all are open; or false when another upload has used the run since.
if (redis.call('GET', KEYS[5]) or redis.call('HGET', KEYS[1], 'uploader')) ~= ARGV[4] then return false end
redis.call('SET', KEYS[5], ARGV[4], 'EX', ARGV[5])
local released, specs = redis.call('LRANGE', KEYS[3], 0, ARGV[2] - 1), 0
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local of_flows = {}
for _, chunk_id in ipairs(released) do
  local states, flow_field = unpack(redis.call('HMGET', ARGV[3] .. chunk_id, 's', 'flow'))
  specs = specs + #(states or '') -- a lost one becomes a dead letter when it is leased
  local flow = flow_of(chunk_id, flow_field)
  of_flows[flow] = of_flows[flow] or {}
  table.insert(of_flows[flow], chunk_id)
  redis.call('ZADD', KEYS[2], 0, chunk_id)
  redis.call('ZADD', KEYS[7], now_ms, chunk_id)
end
for flow, chunk_ids in pairs(of_flows) do make_ready(KEYS[8], flow, ARGV[1], chunk_ids) end
if #released > 0 then
  redis.call('LTRIM', KEYS[3], #released, -1)
  redis.call('HINCRBY', KEYS[1], 'uploading', -specs)
  if redis.call('EXISTS', KEYS[3]) == 0 then redis.call('HSET', KEYS[1], 'uploading', 0) end
  redis.call('HINCRBY', KEYS[1], 'total', specs)
  redis.call('HINCRBY', KEYS[1], 'waiting', specs)
  redis.call('HINCRBY', KEYS[6], string.sub(ARGV[1], 1, 1) .. ' waiting', specs)
  redis.call('HDEL', KEYS[1], 'finished_ms')
  redis.call('ZREM', KEYS[4], ARGV[1])
end
return released
