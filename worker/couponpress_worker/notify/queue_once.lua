-- Put an occurrence into the queues of its targets, unless it was put there before.
-- KEYS[1] the claim of the occurrence   KEYS[2..] queues of its targets; none when nobody wants to be told
-- ARGV[1] TTL of the claim, s   ARGV[2] the occurrence, JSON   ARGV[3] the most that waits in a queue   ARGV[4] TTL of a
-- queue, s
-- Returns 1, or 0 when it was put there before.
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[1]) then return 0 end
local now = redis.call('TIME')
local entry = now[1] * 1000 + math.floor(now[2] / 1000) .. ' ' .. ARGV[2]
for i = 2, #KEYS do
  redis.call('RPUSH', KEYS[i], entry)
  redis.call('LTRIM', KEYS[i], -ARGV[3], -1)
  redis.call('EXPIRE', KEYS[i], ARGV[4])
end
return 1
