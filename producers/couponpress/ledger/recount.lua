-- Count a run's specs again from its chunks, after one of the chunks was lost.
-- KEYS[1] run   KEYS[2] staged chunks   KEYS[3] finished runs   KEYS[4] counts of all runs
-- ARGV[1] run number   ARGV[2] prefix of chunk keys
-- Returns how many specs the run still has.
local WORDS = {w = 'waiting', y = 'retrying', l = 'looking', p = 'paused', a = 'accepted',
               s = 'succeeded', f = 'failed', r = 'rejected', x = 'expired', c = 'cancelled'}
local staged, counts, total = {}, {}, 0
for _, chunk_id in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do staged[chunk_id] = true end
for sequence = 1, tonumber(redis.call('HGET', KEYS[1], 'chunks') or 0) do
  local chunk_id = ARGV[1] .. '.' .. sequence
  local states = not staged[chunk_id] and redis.call('HGET', ARGV[2] .. chunk_id, 's') or ''
  total = total + #states
  for letter in string.gmatch(states, '.') do counts[letter] = (counts[letter] or 0) + 1 end
end
for letter, word in pairs(WORDS) do
  local change = (counts[letter] or 0) - tonumber(redis.call('HGET', KEYS[1], word) or 0)
  redis.call('HSET', KEYS[1], word, counts[letter] or 0)
  if change ~= 0 then redis.call('HINCRBY', KEYS[4], string.sub(ARGV[1], 1, 1) .. ' ' .. word, change) end
end
redis.call('HSET', KEYS[1], 'total', total)
if not (counts.w or counts.y or counts.l or counts.p or counts.a) then
  local now = redis.call('TIME')
  local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
  redis.call('HSETNX', KEYS[1], 'finished_ms', now_ms)
  redis.call('ZADD', KEYS[3], 'NX', now_ms, ARGV[1])
end
return total
