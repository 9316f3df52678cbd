-- End a lease. The chunk is closed, or waits for another lease, or is kept back until the hold of a brand is released.
-- Its flow gets back what it was charged for specs that still wait.
-- Needs in_force.lua
-- Needs flows.lua
-- KEYS[1] chunk   KEYS[2] open chunks of its lane   KEYS[3] holds   KEYS[4] flows of the lane   KEYS[5] shares of flows
-- KEYS[6] until when flows rest because of their caps
-- ARGV[1] chunk id   ARGV[2] owner   ARGV[3] ms within which the rest is to be taken up   ARGV[4] score of held chunks
-- ARGV[5] JSON object: position -> scope of the hold because of which its spec was not sent
-- Returns {'given back', how many specs of the chunk still wait to be sent}, {'kept back'} when holds keep all of them
-- back until a release, or {'lost'} when the lease was lost.
local owner, states, flow_field = unpack(redis.call('HMGET', KEYS[1], 'owner', 's', 'flow'))
if owner ~= ARGV[2] then
  -- The worker is alive: its lease expired because Redis was away or the worker was stopped; the chunk did not kill it.
  if redis.call('HGET', KEYS[1], 'lost_by') == ARGV[2] then
    redis.call('HDEL', KEYS[1], 'lost_by')
    if redis.call('HINCRBY', KEYS[1], 'lost', -1) < 1 then redis.call('HDEL', KEYS[1], 'lost') end
  end
  return {'lost'}
end
redis.call('HDEL', KEYS[1], 'owner', 'lost', 'lost_by')
states = states or ''
local _, waiting = string.gsub(states, 'w', '')
if waiting == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return {'given back', 0}
end

local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)

local function scopes_that_keep_all() -- nil when any spec may be sent, because a hold is over by now
  local kept, found, scopes = cjson.decode(ARGV[5]), {}, {}
  for at = 1, #states do
    if string.sub(states, at, at) == 'w' then
      local scope = kept[tostring(at - 1)]
      if not scope then return nil end
      if not found[scope] then
        if not in_force(redis.call('HGET', KEYS[3], scope), now_ms) then return nil end
        found[scope] = true
        scopes[#scopes + 1] = scope
      end
    end
  end
  return table.concat(scopes, ' ')
end

local function refund(flow)
  local weight, cap = string.match(redis.call('HGET', KEYS[5], flow) or '1 0', '^(%S+) (%S+)$')
  for _, tags in ipairs({KEYS[4], KEYS[4] .. ':left'}) do
    local tag = redis.call('ZSCORE', tags, flow)
    if tag then redis.call('ZADD', tags, string.format('%.17g', math.max(tag - waiting / weight, 0)), flow) end
  end
  local rests_until = tonumber(cap) > 0 and redis.call('ZSCORE', KEYS[6], flow)
  if rests_until then redis.call('ZADD', KEYS[6], math.floor(rests_until - waiting / cap * 1000), flow) end
end

local scopes = scopes_that_keep_all()
if scopes then
  redis.call('HSET', KEYS[1], 'kept', scopes)
  refund((flow_of(ARGV[1], flow_field)))
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
  return {'kept back'}
end
redis.call('ZADD', KEYS[2], now_ms + ARGV[3], ARGV[1])
local flow, number = flow_of(ARGV[1], flow_field)
make_ready(KEYS[4], flow, number, {ARGV[1]})
refund(flow)
return {'given back', waiting}
