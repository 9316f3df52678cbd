-- Let ended specs of one chunk be sent again, those with the given states and code. Their tries start at 0 again.
-- Specs that succeeded or are open stay as they are. A dead-letter chunk is tried again.
-- Needs note_event.lua
-- Needs flows.lua
-- KEYS[1] chunk   KEYS[2] run   KEYS[3] reasons   KEYS[4] open chunks of the lane   KEYS[5] finished runs
-- KEYS[6] dead-letter chunks   KEYS[7] counts of all runs   KEYS[8] waiting since, of the lane
-- KEYS[9] history of the chunk's specs   KEYS[10] flows of the lane
-- ARGV[1] chunk id   ARGV[2] run number   ARGV[3] state letters, of frxc   ARGV[4] code, or '' for every one
-- ARGV[5] the code that is shown for cancelled specs without a code
-- ARGV[6] only these positions, each with a blank before and after it, or '' for all
-- Returns how many specs go again, and 1 when the chunk must be published.
local WORDS = {f = 'failed', r = 'rejected', x = 'expired', c = 'cancelled'}

local states, tries, owner, made, flow_field = unpack(redis.call('HMGET', KEYS[1], 's', 't', 'owner', 'made', 'flow'))
if not states then return {0, 0} end
tries = (tries or '') .. string.rep('0', #states - #(tries or ''))
local states_after, tries_after, again, counts, reasons = {}, {}, {}, {}, {}
for position = 0, #states - 1 do
  local at = position + 1
  local letter, spent = string.sub(states, at, at), string.sub(tries, at, at)
  local word = string.find(ARGV[3], letter, 1, true) and WORDS[letter]
  if word then
    local told = redis.call('HGET', KEYS[1], position)
    local code = told and cjson.decode(told)[2] or ''
    local shown = code == '' and letter == 'c' and ARGV[5] or code
    local chosen = ARGV[6] == '' or string.find(ARGV[6], ' ' .. position .. ' ', 1, true)
    if chosen and (ARGV[4] == '' or ARGV[4] == shown) then
      again[#again + 1] = position
      counts[word] = (counts[word] or 0) + 1
      if code ~= '' then reasons[word .. ' ' .. code] = (reasons[word .. ' ' .. code] or 0) + 1 end
      letter, spent = 'w', '0'
    end
  end
  states_after[at], tries_after[at] = letter, spent
end
if #again == 0 then return {0, 0} end

redis.call('HSET', KEYS[1], 's', table.concat(states_after), 't', table.concat(tries_after))
-- The chunk is no longer cancelled, so its accepted specs may be sent again too.
redis.call('HDEL', KEYS[1], 'lost', 'lost_by', 'cancelled', unpack(again))
redis.call('HDEL', KEYS[6], ARGV[1])
local lane = string.sub(ARGV[2], 1, 1)
for word, count in pairs(counts) do
  redis.call('HINCRBY', KEYS[2], word, -count)
  redis.call('HINCRBY', KEYS[7], lane .. ' ' .. word, -count)
end
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZADD', KEYS[8], 'NX', now_ms, ARGV[1])
local events = {}
for at, position in ipairs(again) do events[at] = event_of(position, 'd', 4, made, now_ms, '') end
note_events(KEYS[9], events, #states)
redis.call('HINCRBY', KEYS[7], lane .. ' waiting', #again)
for reason, count in pairs(reasons) do
  if redis.call('HINCRBY', KEYS[3], reason, -count) < 1 then redis.call('HDEL', KEYS[3], reason) end
end
redis.call('HINCRBY', KEYS[2], 'waiting', #again)
if redis.call('HGET', KEYS[2], 'canary') ~= 'passed' then
  redis.call('HDEL', KEYS[2], 'canary') -- else the rejections counted so far would hold the run again
end
redis.call('HDEL', KEYS[2], 'finished_ms')
redis.call('ZREM', KEYS[5], ARGV[2])
if owner then return {#again, 0} end -- the worker that has the chunk publishes it again when it gives it back
redis.call('ZADD', KEYS[4], 0, ARGV[1])
local flow = flow_of(ARGV[1], flow_field)
make_ready(KEYS[10], flow, ARGV[2], {ARGV[1]})
return {#again, 1}
