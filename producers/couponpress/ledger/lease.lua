-- Lease a chunk to a process. The message that named the chunk was only a hint; the chunk's record decides.
-- Needs in_force.lua
-- KEYS[1] chunk   KEYS[2] open chunks of its lane   KEYS[3] holds
-- KEYS[4] which suspect chunk the owner's process has in hand
-- ARGV[1] chunk id   ARGV[2] owner: a process, and after a / which of its leases   ARGV[3] lease, ms
-- ARGV[4] scope of its run's hold   ARGV[5] score of held chunks
-- ARGV[6] after how many leases lost in a row a chunk becomes a dead letter   ARGV[7] prefix of chunk keys
-- Returns {'leased', rows, states, tries, record version, when the chunk was made, its traces}, or {why not}: 'nothing', 'taken',
-- 'held', 'suspect', 'damaged'.
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not score then return {'nothing'} end
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local chunk = redis.call('HMGET', KEYS[1], 'z', 's', 't', 'owner', 'v', 'lost', 'kept', 'made', 'trace')
if not (chunk[1] and chunk[2] and chunk[5]) then return {'damaged'} end
local leased = chunk[4] and chunk[4] ~= ARGV[2] -- the same owner asks again when an answer was lost
if leased and tonumber(score) > now_ms then return {'taken'} end
if not string.find(chunk[2], 'w', 1, true) then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('HDEL', KEYS[1], 'owner')
  return {'nothing'}
end
local holds = redis.call('HMGET', KEYS[3], 'partner', ARGV[4])
if in_force(holds[1], now_ms) or in_force(holds[2], now_ms) then
  redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
  redis.call('HDEL', KEYS[1], 'owner', 'kept')
  return {'held'}
end
if leased then return {'taken'} end -- its lease expired: recovery counts that and publishes the chunk
local lost, limit = tonumber(chunk[6] or 0), tonumber(ARGV[6])
if lost >= limit then return {'suspect'} end -- recovery makes it a dead letter
if lost == limit - 1 then
  -- The next lost lease makes this chunk a dead letter. A process has only one such chunk in hand at a time, so that a
  -- dying worker makes at most one dead letter.
  local function process(owner) return owner and string.match(owner, '^[^/]*') end
  local other = redis.call('GET', KEYS[4])
  if other and other ~= ARGV[1] and process(redis.call('HGET', ARGV[7] .. other, 'owner')) == process(ARGV[2]) then
    return {'suspect'}
  end
  redis.call('SET', KEYS[4], ARGV[1], 'EX', 3600)
end
redis.call('HSET', KEYS[1], 'owner', ARGV[2])
if chunk[7] then redis.call('HDEL', KEYS[1], 'kept') end -- the worker finds out again whether brands keep it back
redis.call('ZADD', KEYS[2], now_ms + ARGV[3], ARGV[1])
return {'leased', chunk[1], chunk[2], chunk[3] or '', chunk[5], chunk[8] or '', chunk[9] or ''}
