-- Store one chunk if all of its task_ids are new; otherwise store nothing and return the known ones.
-- Needs flows.lua
-- KEYS[1] run   KEYS[2] open chunks of the lane   KEYS[3] staged chunks   KEYS[4] finished runs   KEYS[5] upload lock
-- KEYS[6] counts of all runs   KEYS[7] waiting since, of the lane   KEYS[8] the run's brands
-- KEYS[9] flows of the lane
-- ARGV[1] run number   ARGV[2] number of specs   ARGV[3] compressed rows   ARGV[4] upload token, '' to open at once
-- ARGV[5] prefix of chunk keys   ARGV[6] prefix of index keys   ARGV[7] upload lock, seconds
-- ARGV[8] per spec 10 bytes of task_id digest, then 8 bytes of body digest   ARGV[9] the specs' traces, '' for none
-- ARGV[10] the chunk's flow: a brand's scope, '' when it has several brands   ARGV[11] where its specs stand among those
-- of their batch, '' when they follow one another   ARGV[12] and on: the specs' brands
-- Returns {1, chunk id}, or {0, {position, same body? 1 or 0, place}, ...}, or {-1} when another upload has used the
-- run since, or {-2} when the run is gone.
if ARGV[4] == '' then
  if redis.call('HEXISTS', KEYS[1], 'name') == 0 then return {-2} end
else -- the lock may have expired while the producer was slow: take it again, unless another producer had it since
  if (redis.call('GET', KEYS[5]) or redis.call('HGET', KEYS[1], 'uploader')) ~= ARGV[4] then return {-1} end
  redis.call('SET', KEYS[5], ARGV[4], 'EX', ARGV[7])
end
local count, digests = tonumber(ARGV[2]), ARGV[8]

local function bucket_of(at)
  local first, second = string.byte(digests, at + 1, at + 2)
  return string.format('%s%03x', ARGV[6], first * 16 + math.floor(second / 16))
end

-- Usually all are new, so write the index first and read it only when one is known: that halves the commands.
local sequence = redis.call('HINCRBY', KEYS[1], 'chunks', 1)
local chunk_id = ARGV[1] .. '.' .. sequence
local indexed = 0
while indexed < count do
  local at = indexed * 18
  local entry = string.sub(digests, at + 11, at + 18) .. chunk_id .. '/' .. indexed
  if redis.call('HSETNX', bucket_of(at), string.sub(digests, at + 1, at + 10), entry) == 0 then break end
  indexed = indexed + 1
end
if indexed < count then
  for position = 0, indexed - 1 do
    local at = position * 18
    redis.call('HDEL', bucket_of(at), string.sub(digests, at + 1, at + 10))
  end
  redis.call('HINCRBY', KEYS[1], 'chunks', -1)
  local known = {0}
  for position = indexed, count - 1 do
    local at = position * 18
    local entry = redis.call('HGET', bucket_of(at), string.sub(digests, at + 1, at + 10))
    if entry then
      local same = string.sub(entry, 1, 8) == string.sub(digests, at + 11, at + 18)
      known[#known + 1] = {position, same and 1 or 0, string.sub(entry, 9)}
    end
  end
  return known
end

redis.call('SADD', KEYS[8], unpack(ARGV, 12))
-- A server that lost its last second may give a chunk id twice. The moment `made` tells the two chunks apart.
local now = redis.call('TIME')
redis.call('HSET', ARGV[5] .. chunk_id, 'v', 1, 'z', ARGV[3], 'made', now[1] .. '.' .. now[2],
  's', string.rep('w', count), 't', string.rep('0', count))
for field, value in pairs({trace = ARGV[9], flow = ARGV[10], at = ARGV[11]}) do
  if value ~= '' then redis.call('HSET', ARGV[5] .. chunk_id, field, value) end
end
if ARGV[4] ~= '' then
  redis.call('RPUSH', KEYS[3], chunk_id)
  redis.call('HINCRBY', KEYS[1], 'uploading', count)
else
  redis.call('ZADD', KEYS[2], 0, chunk_id)
  make_ready(KEYS[9], ARGV[10] ~= '' and ARGV[10] or 'run:' .. ARGV[1], ARGV[1], {chunk_id})
  redis.call('HINCRBY', KEYS[1], 'total', count)
  redis.call('HINCRBY', KEYS[1], 'waiting', count)
  redis.call('HINCRBY', KEYS[6], string.sub(ARGV[1], 1, 1) .. ' waiting', count)
  redis.call('ZADD', KEYS[7], now[1] * 1000 + math.floor(now[2] / 1000), chunk_id)
  redis.call('HDEL', KEYS[1], 'finished_ms')
  redis.call('ZREM', KEYS[4], ARGV[1])
end
return {1, chunk_id}
