-- Shared: note an act in the audit log, in the same script that does it.
-- KEYS: the last one is the audit log, a STREAM; the one before it how often each act was noted, a HASH
-- ARGV: the last one is the act as a JSON object of texts; the one before it how long entries are kept, ms, 0 for ever
-- `note_act` takes what came of the act and returns nothing. What the fleet tried in vain is not noted.
local function note_act(result)
  local act, fields, now = cjson.decode(ARGV[#ARGV]), {}, redis.call('TIME')
  if act.door == 'fleet' and result == 'nothing' then return end
  redis.call('HINCRBY', KEYS[#KEYS - 1], act.act, 1)
  for name, value in pairs(act) do
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  local kept = tonumber(ARGV[#ARGV - 1])
  if kept > 0 then
    local oldest = string.format('%.0f', math.max(now[1] * 1000 - kept, 0))
    redis.call('XADD', KEYS[#KEYS], 'MINID', '~', oldest, '*', 'result', result, unpack(fields))
  else
    redis.call('XADD', KEYS[#KEYS], '*', 'result', result, unpack(fields))
  end
end
