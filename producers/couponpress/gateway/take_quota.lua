-- Take up to ARGV[1] specs from a token's quota of today, or give some back.
-- KEYS[1] the token's count
-- ARGV[1] how many; a negative number gives back   ARGV[2] the quota of a day
-- ARGV[3] how many seconds before UTC's the day begins   ARGV[4] the day on which they were taken; '' when taking
-- Returns {how many were taken, seconds until the next day, the day}.
local seconds = tonumber(redis.call('TIME')[1]) + tonumber(ARGV[3])
local day = tostring(math.floor(seconds / 86400))
local left = 86400 - seconds % 86400
local used = 0
if redis.call('HGET', KEYS[1], 'day') == day then used = tonumber(redis.call('HGET', KEYS[1], 'used')) end
local wanted, taken = tonumber(ARGV[1]), 0
if wanted >= 0 then
  taken = math.max(math.min(wanted, tonumber(ARGV[2]) - used), 0)
elseif ARGV[4] == day then
  taken = math.max(wanted, -used)
end
if taken ~= 0 then
  redis.call('HSET', KEYS[1], 'day', day, 'used', used + taken)
  redis.call('EXPIRE', KEYS[1], left)
end
return {taken, left, day}
