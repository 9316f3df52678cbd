-- Claim a night: begin it, or continue it when the process that had it is gone. A night that is over stays over.
-- KEYS[1] night   KEYS[2] open nights   KEYS[3] its schedule   KEYS[4] changes of nights
-- ARGV[1] run   ARGV[2] owner   ARGV[3] lease, ms   ARGV[4] when the night is, s   ARGV[5] how long it is remembered, s
-- ARGV[6] the schedule's name   ARGV[7] state of a night that begins: 'claimed', or 'missed' or 'skipped', over at once
-- ARGV[8] '1' for a start by hand: one that was missed, skipped or failed begins anew, and the nights before it stay due
-- ARGV[9] how the night is to be done, for the process that does it
-- Returns {state, how many processes have had it, how it is to be done}, or false when the caller has nothing to do.
if ARGV[8] == '0' and tonumber(ARGV[4]) > tonumber(redis.call('HGET', KEYS[3], 'seen') or 0) then
  redis.call('HSET', KEYS[3], 'seen', ARGV[4])
end
local state, owner, until_ms = unpack(redis.call('HMGET', KEYS[1], 'state', 'owner', 'until_ms'))
local anew = ARGV[8] == '1' and (state == 'missed' or state == 'skipped' or state == 'failed')
local open = state == 'claimed' or state == 'sent' and ARGV[8] == '0'
if state and not open and not anew then return false end
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
if owner and owner ~= ARGV[2] and tonumber(until_ms) > now_ms then return false end
if not state or anew then
  state = ARGV[7]
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'state', state, 'schedule', ARGV[6], 'at', ARGV[4], 'how', ARGV[9], 'started', now[1])
  redis.call('ZADD', KEYS[4], now_ms, ARGV[1])
  redis.call('ZREMRANGEBYSCORE', KEYS[4], 0, now_ms - ARGV[5] * 1000)
  redis.call('EXPIRE', KEYS[1], ARGV[5])
  redis.call('HSET', KEYS[3], 'latest', ARGV[1])
  if state == 'missed' or state == 'skipped' then return {state, 0, ARGV[9]} end
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
end
redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'until_ms', now_ms + ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[5])
local taken = redis.call('HINCRBY', KEYS[1], 'taken', owner == ARGV[2] and 0 or 1)
return {state, taken, redis.call('HGET', KEYS[1], 'how')}
