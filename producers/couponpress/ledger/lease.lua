-- Lease the next chunk of a lane to a process, or a certain one. A message that names a chunk is only a hint to look
-- into its lane.
-- Needs in_force.lua
-- Needs flows.lua
-- KEYS[1] open chunks of the lane   KEYS[2] holds   KEYS[3] which suspect chunk the owner's process has in hand
-- KEYS[4] flows of the lane   KEYS[5] shares of flows   KEYS[6] until when flows rest because of their caps
-- ARGV[1] chunk id, or '' for the next one   ARGV[2] owner: a process, and after a / which of its leases
-- ARGV[3] lease, ms   ARGV[4] score of held chunks   ARGV[5] after how many leases lost in a row a chunk becomes a dead
-- letter   ARGV[6] prefix of chunk keys   ARGV[7] ms after which a suspect that nobody may take is looked at again
-- Returns {'leased', chunk id, rows, states, tries, record version, when the chunk was made, its traces}, or {why not}:
-- 'nothing', 'taken', 'held', 'suspect', {'damaged', chunk id}, {'capped', ms until a flow goes on}, or 'more' after many
-- chunks that may not be leased.
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local flows, resting = KEYS[4], KEYS[4] .. ':resting'

-- Lease one chunk, which is ready no more; returns the answer, and how many of its specs wait.
local function take(chunk_id)
  local key = ARGV[6] .. chunk_id
  local chunk = redis.call('HMGET', key, 'z', 's', 't', 'owner', 'v', 'lost', 'kept', 'made', 'trace')
  if not (chunk[1] and chunk[2] and chunk[5]) then
    return redis.call('ZSCORE', KEYS[1], chunk_id) and {'damaged', chunk_id} or {'nothing'}
  end
  local leased = chunk[4] and chunk[4] ~= ARGV[2] -- the same owner asks again when an answer was lost
  if leased and tonumber(redis.call('ZSCORE', KEYS[1], chunk_id) or 0) > now_ms then return {'taken'} end
  local _, waiting = string.gsub(chunk[2], 'w', '')
  if waiting == 0 then
    redis.call('ZREM', KEYS[1], chunk_id)
    redis.call('HDEL', key, 'owner')
    return {'nothing'}
  end
  local holds = redis.call('HMGET', KEYS[2], 'partner', 'run:' .. string.match(chunk_id, '^[^.]+'))
  if in_force(holds[1], now_ms) or in_force(holds[2], now_ms) then
    redis.call('ZADD', KEYS[1], ARGV[4], chunk_id)
    redis.call('HDEL', key, 'owner', 'kept')
    return {'held'}, 0, in_force(holds[1], now_ms)
  end
  if leased then return {'taken'} end -- its lease expired: recovery counts that and makes the chunk ready
  local lost, limit = tonumber(chunk[6] or 0), tonumber(ARGV[5])
  if lost >= limit - 1 then
    -- The next lost lease makes this chunk a dead letter. A process has only one such chunk in hand at a time, so that a
    -- dying worker makes at most one dead letter.
    local function process(owner) return owner and string.match(owner, '^[^/]*') end
    local other = redis.call('GET', KEYS[3])
    if lost >= limit -- recovery makes it a dead letter
      or other and other ~= chunk_id
        and process(redis.call('HGET', ARGV[6] .. other, 'owner')) == process(ARGV[2]) then
      redis.call('ZADD', KEYS[1], now_ms + ARGV[7], chunk_id)
      return {'suspect'}
    end
    redis.call('SET', KEYS[3], chunk_id, 'EX', 3600)
  end
  redis.call('HSET', key, 'owner', ARGV[2])
  if chunk[7] then redis.call('HDEL', key, 'kept') end -- the worker finds out again whether brands keep it back
  redis.call('ZADD', KEYS[1], now_ms + ARGV[3], chunk_id)
  return {'leased', chunk_id, chunk[1], chunk[2], chunk[3] or '', chunk[5], chunk[8] or '', chunk[9] or ''}, waiting
end

if ARGV[1] ~= '' then
  if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {'nothing'} end
  local flow, number = flow_of(ARGV[1], redis.call('HGET', ARGV[6] .. ARGV[1], 'flow'))
  make_unready(flows, flow, number, ARGV[1])
  return (take(ARGV[1]))
end

-- Let the flows go on whose rest is over; returns whether there was one.
local function wake()
  local due = redis.call('ZRANGEBYSCORE', resting, '-inf', now_ms)
  for _, flow in ipairs(due) do
    redis.call('ZREM', resting, flow)
    flow_comes(flows, flow)
  end
  return #due > 0
end

-- Return the flow with the lowest tag that its cap does not stop, with its tag, weight and cap (0: none); nil for none.
local function next_flow()
  while true do
    local first = redis.call('ZRANGE', flows, 0, 0, 'WITHSCORES')
    local flow, tag = first[1], first[2]
    local share = flow and redis.call('HMGET', KEYS[5], flow, '') or {}
    if not ((share[2] or not flow) and wake()) then
      if not flow then return nil end
      local weight, cap = string.match(share[1] or '1 0', '^(%S+) (%S+)$')
      local rests_until = tonumber(cap) > 0 and tonumber(redis.call('ZSCORE', KEYS[6], flow) or 0) or 0
      if rests_until <= now_ms then return flow, tonumber(tag), tonumber(weight), tonumber(cap) end
      redis.call('ZREM', flows, flow)
      redis.call('ZADD', flows .. ':left', tag, flow)
      redis.call('ZADD', resting, rests_until, flow)
    end
  end
end

-- Take the next chunk of a flow out of those that are ready; returns its id, and whether the flow has no other; the
-- runs of a flow take turns.
local function next_chunk(flow)
  local runs = flows .. ':runs:' .. flow
  local turns = redis.call('ZRANGE', runs, 0, 1, 'WITHSCORES')
  local number, turn, other = turns[1], turns[2], turns[3]
  if not number then return nil, true end
  local ready = flows .. ':ready:' .. number .. ':' .. flow
  local found = redis.call('ZRANGE', ready, 0, 1)
  if found[1] then redis.call('ZREM', ready, found[1]) end
  if not found[2] then
    redis.call('ZREM', runs, number)
  elseif other then
    redis.call('ZADD', runs, turn + 1, number)
  end
  return found[1], not (found[2] or other)
end

local answer = {'nothing'}
for _ = 1, 100 do
  local flow, tag, weight, cap = next_flow()
  if not flow then
    local rest = redis.call('ZRANGE', resting, 0, 0, 'WITHSCORES')
    return rest[1] and {'capped', rest[2] - now_ms} or answer
  end
  local chunk_id, last = next_chunk(flow)
  local specs, all_held
  if chunk_id then answer, specs, all_held = take(chunk_id) end
  local leased = answer[1] == 'leased'
  if leased then
    tag = tag + specs / weight
    if cap > 0 then
      local rested = tonumber(redis.call('ZSCORE', KEYS[6], flow) or 0)
      redis.call('ZADD', KEYS[6], math.floor(math.max(rested, now_ms) + specs / cap * 1000), flow)
    end
  end
  if last then
    flow_leaves(flows, flow, tag)
  elseif leased then
    redis.call('ZADD', flows, string.format('%.17g', tag), flow)
  end
  if leased or answer[1] == 'damaged' or all_held then return answer end
end
return {'more'}
