-- Release a hold, tell every process at once, and open every chunk that no other hold keeps back.
-- Needs in_force.lua
-- Needs note_act.lua
-- Needs flows.lua
-- KEYS[1] holds   KEYS[2] open urgent chunks   KEYS[3] open bulk chunks   KEYS[4] channel of changed holds
-- KEYS[5] flows of the urgent lane   KEYS[6] flows of the bulk lane   KEYS[7] and KEYS[8]: see note_act.lua
-- ARGV[1] scope: partner, run:NUMBER or brand:ID   ARGV[2] score of held chunks   ARGV[3] prefix of chunk keys
-- ARGV[4] prefix of run keys   ARGV[5] 'ended' to release it only if its time is over, else ''
-- ARGV[6] and ARGV[7]: see note_act.lua
-- Returns {1 when the scope was held, else 0; then the ids of the chunks that were opened}.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[5] == 'ended' and in_force(redis.call('HGET', KEYS[1], ARGV[1]), now_ms) then return {0} end
local reply = {redis.call('HDEL', KEYS[1], ARGV[1])}
note_act(reply[1] == 1 and 'done' or 'nothing')
if reply[1] == 1 then
  redis.call('PUBLISH', KEYS[4], ARGV[1])
  local number = string.match(ARGV[1], '^run:(.+)')
  if number and redis.call('HGET', ARGV[4] .. number, 'canary') ~= 'passed' then
    redis.call('HDEL', ARGV[4] .. number, 'canary') -- else the rejections counted so far would hold the run again
  end
end
local held = {}
local stored = redis.call('HGETALL', KEYS[1])
for at = 1, #stored, 2 do held[stored[at]] = in_force(stored[at + 1], now_ms) end
if held['partner'] then return reply end

local function kept_back(chunk_id, kept)
  if held['run:' .. string.match(chunk_id, '^[^.]+')] then return true end
  if not kept then return false end
  for scope in string.gmatch(kept, '%S+') do
    if not held[scope] then return false end
  end
  return true
end

for lane = 2, 3 do
  for _, chunk_id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[lane], ARGV[2], ARGV[2])) do
    local kept, flow_field = unpack(redis.call('HMGET', ARGV[3] .. chunk_id, 'kept', 'flow'))
    if not kept_back(chunk_id, kept) then
      redis.call('ZADD', KEYS[lane], 0, chunk_id)
      local flow, number = flow_of(chunk_id, flow_field)
      make_ready(KEYS[lane + 3], flow, number, {chunk_id})
      reply[#reply + 1] = chunk_id
    end
  end
end
return reply
