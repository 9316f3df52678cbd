-- Set the share of a flow, or take it back. A flow that rests because of its cap goes on, under the new share.
-- Needs note_act.lua
-- Needs flows.lua
-- KEYS[1] shares of flows   KEYS[2] until when flows rest because of their caps   KEYS[3] flows of the urgent lane
-- KEYS[4] flows of the bulk lane   KEYS[5] and KEYS[6]: see note_act.lua
-- ARGV[1] flow   ARGV[2] weight, a blank, cap; '' to take the share back   ARGV[3] and ARGV[4]: see note_act.lua
-- Returns 1.
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
redis.call('ZREM', KEYS[2], ARGV[1])
for lane = 3, 4 do
  if redis.call('ZREM', KEYS[lane] .. ':resting', ARGV[1]) == 1 then flow_comes(KEYS[lane], ARGV[1]) end
end
local shares, capped = redis.call('HGETALL', KEYS[1]), false
for at = 2, #shares, 2 do capped = capped or shares[at - 1] ~= '' and string.sub(shares[at], -2) ~= ' 0' end
if capped then redis.call('HSET', KEYS[1], '', '1 0') else redis.call('HDEL', KEYS[1], '') end
note_act('done')
return 1
