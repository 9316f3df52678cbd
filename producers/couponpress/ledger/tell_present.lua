-- Note that a process runs, and remove processes that have not said so for too long.
-- KEYS[1] present, a HASH: process -> when it last said so (seconds of Redis TIME), a blank, what it is in JSON
-- KEYS[2] left, a ZSET: a process that said that it stops -> when, seconds
-- ARGV[1] the process   ARGV[2] what it is, JSON; empty when it stops   ARGV[3] after how many seconds of
-- silence one is removed   ARGV[4] TTL of the hash, seconds   ARGV[5] how long a goodbye is kept, seconds
-- Returns how many processes are present.
local now = tonumber(redis.call('TIME')[1])
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if now - tonumber(string.match(all[i + 1], '^%d+')) > tonumber(ARGV[3]) then redis.call('HDEL', KEYS[1], all[i]) end
end
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('ZADD', KEYS[2], now, ARGV[1])
  redis.call('ZREMRANGEBYSCORE', KEYS[2], 0, now - ARGV[5])
else
  redis.call('HSET', KEYS[1], ARGV[1], now .. ' ' .. ARGV[2])
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
return redis.call('HLEN', KEYS[1])
