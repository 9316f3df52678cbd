-- Delete one chunk of a run whose results have lived long enough.
-- KEYS[1] chunk   KEYS[2] finished runs   KEYS[3] run   KEYS[4] upload lock
-- KEYS[5] history of the chunk's specs
-- ARGV[1] run number   ARGV[2] prefix of index keys
-- ARGV[3] per spec 10 bytes of task_id digest, then 8 bytes of body digest
-- Returns 1, or 0 when the run is no longer finished or an upload into it is open.
if not redis.call('ZSCORE', KEYS[2], ARGV[1]) or redis.call('EXISTS', KEYS[4]) == 1 then return 0 end
if tonumber(redis.call('HGET', KEYS[3], 'uploading') or 0) > 0 then return 0 end
for at = 0, #ARGV[3] - 18, 18 do
  local first, second = string.byte(ARGV[3], at + 1, at + 2)
  redis.call('HDEL', string.format('%s%03x', ARGV[2], first * 16 + math.floor(second / 16)),
    string.sub(ARGV[3], at + 1, at + 10))
end
redis.call('DEL', KEYS[1], KEYS[5])
return 1
