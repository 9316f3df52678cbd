-- Delete a run after all of its chunks were deleted.
-- KEYS[1] run   KEYS[2] run numbers   KEYS[3] runs   KEYS[4] finished runs   KEYS[5] reasons
-- KEYS[6] upload lock   KEYS[7] holds   KEYS[8] counts of all runs   KEYS[9] when the run's reasons were seen
-- KEYS[10] the run's brands
-- ARGV[1] run number   ARGV[2] scope of its hold
-- Returns 1, or 0 when the run is no longer finished or an upload into it is open.
if redis.call('EXISTS', KEYS[6]) == 1 or tonumber(redis.call('HGET', KEYS[1], 'uploading') or 0) > 0 then return 0 end
if redis.call('ZREM', KEYS[4], ARGV[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[7], ARGV[2])
redis.call('HDEL', KEYS[2], redis.call('HGET', KEYS[1], 'name'))
redis.call('ZREM', KEYS[3], ARGV[1])
for _, word in ipairs({'waiting', 'retrying', 'looking', 'paused', 'accepted', 'succeeded', 'failed', 'rejected',
                       'expired', 'cancelled'}) do
  local count = tonumber(redis.call('HGET', KEYS[1], word) or 0)
  if count ~= 0 then redis.call('HINCRBY', KEYS[8], string.sub(ARGV[1], 1, 1) .. ' ' .. word, -count) end
end
redis.call('DEL', KEYS[1], KEYS[5], KEYS[9], KEYS[10])
return 1
