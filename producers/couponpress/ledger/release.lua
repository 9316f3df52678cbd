-- Release a hold, and let every chunk go on that no hold keeps back any more.
-- KEYS[1] holds   KEYS[2] open urgent chunks   KEYS[3] open bulk chunks
-- ARGV[1] scope: partner or run:NUMBER   ARGV[2] score of held chunks
-- Returns {1 or 0: whether it was held, chunk id, ...}.
local reply = {redis.call('HDEL', KEYS[1], ARGV[1])}
if redis.call('HEXISTS', KEYS[1], 'partner') == 1 then return reply end
for lane = 2, 3 do
  for _, chunk_id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[lane], ARGV[2], ARGV[2])) do
    if redis.call('HEXISTS', KEYS[1], 'run:' .. string.match(chunk_id, '^[^.]+')) == 0 then
      redis.call('ZADD', KEYS[lane], 0, chunk_id)
      reply[#reply + 1] = chunk_id
    end
  end
end
return reply
