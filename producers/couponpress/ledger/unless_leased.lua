-- Shared: stop a script when a process has the chunk in hand, for then that process decides what becomes of its specs.
-- KEYS[1] chunk   KEYS[4] open chunks of the lane
-- ARGV[1] chunk id
-- Returns {-2} when the lease of the chunk is in force; else the script goes on.
if redis.call('HEXISTS', KEYS[1], 'owner') == 1 then
  local leased_until, time = redis.call('ZSCORE', KEYS[4], ARGV[1]), redis.call('TIME')
  if leased_until and tonumber(leased_until) >= time[1] * 1000 then return {-2} end
end
