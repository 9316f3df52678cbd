-- Find a run by its name, or create it.
-- KEYS[1] run numbers   KEYS[2] runs
-- ARGV[1] name   ARGV[2] lane   ARGV[3] prefix of run keys
-- Returns the run's number: the first letter of its lane, then a count in base 16.
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known then return known end
local now = redis.call('TIME')
local number = string.sub(ARGV[2], 1, 1) .. string.format('%x', redis.call('HINCRBY', KEYS[1], '', 1))
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], number)
redis.call('ZADD', KEYS[2], now_ms, number)
redis.call('HSET', ARGV[3] .. number, 'v', 1, 'name', ARGV[1], 'lane', ARGV[2], 'created_ms', now_ms)
return number
