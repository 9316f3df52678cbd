-- Take a run's upload lock, so that only one producer uploads into the run.
-- KEYS[1] run   KEYS[2] upload lock
-- ARGV[1] upload token   ARGV[2] upload lock, seconds
-- Returns 1, 0 while another upload has the lock, or -1 when the run no longer exists.
if redis.call('HEXISTS', KEYS[1], 'name') == 0 then return -1 end
if not redis.call('SET', KEYS[2], ARGV[1], 'NX', 'EX', ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'uploader', ARGV[1])
return 1
