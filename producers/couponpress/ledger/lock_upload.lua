-- Take a run's upload lock, so that only one producer uploads into the run.
-- KEYS[1] run   KEYS[2] upload lock
-- ARGV[1] upload token   ARGV[2] upload lock, seconds
-- Returns 'locked', 'busy' while another upload has the lock, or 'no run' when the run no longer exists.
if redis.call('HEXISTS', KEYS[1], 'name') == 0 then return 'no run' end
if not redis.call('SET', KEYS[2], ARGV[1], 'NX', 'EX', ARGV[2]) then return 'busy' end
redis.call('HSET', KEYS[1], 'uploader', ARGV[1])
return 'locked'
