-- Shared: the chunks of a lane that are ready to be leased. They stand by flow, which is a brand, or a run where a chunk
-- has specs of several brands; in a flow by run; in a run by their number. The flow with the lowest tag is next. A tag
-- grows by the specs that were leased of the flow, divided by its weight.
-- KEYS, ARGV: none; `flows` is always the name of the lane's ZSET of flows (`Keys.flows`), the other names begin with it
-- `flow_of` takes a chunk id and the field `flow` of its record; returns the flow and the run's number.
-- `make_ready` takes chunk ids of one flow and run, up to 500; ids that are ready already change nothing.
-- `make_unready` takes one of them out, if it is ready.
local function flow_of(chunk_id, flow)
  local number = string.match(chunk_id, '^[^.]+')
  return flow or 'run:' .. number, number
end

-- A flow that comes back begins at its old tag, so that leaving gains nothing; a new one where the others are by now.
local function flow_comes(flows, flow)
  local floor = redis.call('ZRANGE', flows, 0, 0, 'WITHSCORES')[2]
    or redis.call('ZRANGE', flows .. ':left', -1, -1, 'WITHSCORES')[2] or 0
  local tag = redis.call('ZSCORE', flows .. ':left', flow)
  if tag then redis.call('ZREM', flows .. ':left', flow) end
  redis.call('ZADD', flows, string.format('%.17g', math.max(floor, tag or 0)), flow)
end

-- A tag below the lowest one of all flows is worth nothing, so it is forgotten; all of them, when nothing is ready.
local function flow_leaves(flows, flow, tag)
  redis.call('ZREM', flows, flow)
  redis.call('ZADD', flows .. ':left', string.format('%.17g', tag), flow)
  local floor = redis.call('ZRANGE', flows, 0, 0, 'WITHSCORES')[2]
  if floor then
    redis.call('ZREMRANGEBYSCORE', flows .. ':left', '-inf', '(' .. floor)
  elseif redis.call('EXISTS', flows .. ':resting') == 0 then
    redis.call('ZREMRANGEBYSCORE', flows .. ':left', '-inf', '+inf')
  end
end

local function make_ready(flows, flow, number, chunk_ids)
  local ready, members = flows .. ':ready:' .. number .. ':' .. flow, {}
  for at, chunk_id in ipairs(chunk_ids) do
    members[2 * at - 1], members[2 * at] = string.match(chunk_id, '[^.]+$'), chunk_id
  end
  local added = redis.call('ZADD', ready, unpack(members))
  if added == 0 or redis.call('ZCARD', ready) > added then return end
  local runs = flows .. ':runs:' .. flow
  local turn = redis.call('ZRANGE', runs, 0, 0, 'WITHSCORES')[2]
  redis.call('ZADD', runs, turn or 0, number)
  if not turn then flow_comes(flows, flow) end
end

local function make_unready(flows, flow, number, chunk_id)
  local ready, runs = flows .. ':ready:' .. number .. ':' .. flow, flows .. ':runs:' .. flow
  if redis.call('ZREM', ready, chunk_id) == 0 or redis.call('EXISTS', ready) == 1 then return end
  redis.call('ZREM', runs, number)
  if redis.call('EXISTS', runs) == 1 then return end
  if redis.call('ZREM', flows .. ':resting', flow) == 0 then
    flow_leaves(flows, flow, redis.call('ZSCORE', flows, flow) or 0)
  elseif redis.call('EXISTS', flows) + redis.call('EXISTS', flows .. ':resting') == 0 then
    redis.call('ZREMRANGEBYSCORE', flows .. ':left', '-inf', '+inf')
  end
end
