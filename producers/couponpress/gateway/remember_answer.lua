-- Claim an Idempotency-Key for a request, store the answer to the request, or end a claim without an answer.
-- KEYS[1] what is remembered of the key
-- ARGV[1] digest of the request   ARGV[2] 'claim', 'answer' or 'release'   ARGV[3] the answer, '' without one
-- ARGV[4] seconds to remember it
-- Returns {1, the answer that was stored first, '' when there is none}, or {0, ''} when another request used the key.
local known = redis.call('HGET', KEYS[1], 'digest')
if known and known ~= ARGV[1] then return {0, ''} end
local answer = redis.call('HGET', KEYS[1], 'answer')
if answer then return {1, answer} end
if ARGV[2] == 'release' then
  redis.call('DEL', KEYS[1])
  return {1, ''}
end
redis.call('HSET', KEYS[1], 'digest', ARGV[1])
if ARGV[2] == 'answer' then redis.call('HSET', KEYS[1], 'answer', ARGV[3]) end
redis.call('EXPIRE', KEYS[1], ARGV[4])
return {1, ARGV[3]}
