-- Take what a target is to be told next, and note that a call is under way.
-- KEYS[1] queue of the target   KEYS[2] call of the target   KEYS[3] rest of its robot
-- ARGV[1] who calls   ARGV[2] the most occurrences of one message   ARGV[3] ms for which the first one waits for others
-- ARGV[4] ms after which a call counts as broken off   ARGV[5] '1' to repeat what a broken call told   ARGV[6] TTL, s
-- ARGV[7] ms after which what waits is given up
-- Returns false when there is nothing to do now; else {how often in vain, how many entries of a broken call there are
-- that are not told again, how many are given up, those, these, entries to tell}.
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local until_ms, count, tries = unpack(redis.call('HMGET', KEYS[2], 'until_ms', 'count', 'tries'))
if until_ms and tonumber(until_ms) > now_ms then return false end
local broken = {}
for i = 1, tonumber(until_ms and count or 0) do broken[i] = redis.call('HGET', KEYS[2], tostring(i)) end
if ARGV[5] == '1' then
  for i = #broken, 1, -1 do redis.call('LPUSH', KEYS[1], broken[i]) end
  broken = {}
end
if until_ms then
  redis.call('DEL', KEYS[2])
  tries = nil
end
local first = redis.call('LINDEX', KEYS[1], 0)
local old, taken = {}, {}
while first and tonumber(string.match(first, '^%d+')) + ARGV[7] < now_ms do
  old[#old + 1] = redis.call('LPOP', KEYS[1])
  first = redis.call('LINDEX', KEYS[1], 0)
end
if first and redis.call('EXISTS', KEYS[3]) == 0 and tonumber(string.match(first, '^%d+')) + ARGV[3] <= now_ms then
  taken = redis.call('LPOP', KEYS[1], ARGV[2])
  redis.call('HSET', KEYS[2], 'owner', ARGV[1], 'until_ms', now_ms + ARGV[4], 'count', #taken)
  for i, entry in ipairs(taken) do redis.call('HSET', KEYS[2], tostring(i), entry) end
  redis.call('EXPIRE', KEYS[2], ARGV[6])
elseif #broken + #old == 0 then
  return false
end
local reply = {tonumber(tries or 0), #broken, #old}
for _, entry in ipairs(broken) do reply[#reply + 1] = entry end
for _, entry in ipairs(old) do reply[#reply + 1] = entry end
for _, entry in ipairs(taken) do reply[#reply + 1] = entry end
return reply
