-- Remove the last chunk of an upload that was refused.
-- KEYS[1] run   KEYS[2] staged chunks   KEYS[3] chunk   KEYS[4] upload lock
-- ARGV[1] chunk id   ARGV[2] upload token   ARGV[3] prefix of index keys
-- ARGV[4] per spec 10 bytes of task_id digest, then 8 bytes of body digest   ARGV[5] upload lock, seconds
-- Returns 'removed', 'not last' when that chunk is no longer the last staged one, or 'taken over' when another upload has used
-- the run since.
if (redis.call('GET', KEYS[4]) or redis.call('HGET', KEYS[1], 'uploader')) ~= ARGV[2] then return 'taken over' end
if redis.call('EXPIRE', KEYS[4], ARGV[5]) == 0 then redis.call('SET', KEYS[4], ARGV[2], 'EX', ARGV[5]) end
if redis.call('LINDEX', KEYS[2], -1) ~= ARGV[1] then return 'not last' end
for at = 0, #ARGV[4] - 18, 18 do
  local first, second = string.byte(ARGV[4], at + 1, at + 2)
  redis.call('HDEL', string.format('%s%03x', ARGV[3], first * 16 + math.floor(second / 16)),
    string.sub(ARGV[4], at + 1, at + 10))
end
redis.call('RPOP', KEYS[2])
redis.call('DEL', KEYS[3])
redis.call('HINCRBY', KEYS[1], 'uploading', -(#ARGV[4] / 18))
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('HSET', KEYS[1], 'uploading', 0) end -- a lost record was not subtracted
return 'removed'
