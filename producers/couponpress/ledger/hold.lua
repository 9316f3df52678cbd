-- Stop submitting for a scope, and tell every process at once.
-- KEYS[1] holds   KEYS[2] channel of changed holds
-- ARGV[1] scope: partner, run:NUMBER or brand:ID   ARGV[2] the reason in JSON
-- Returns 1, or 0 when the scope is held already; then the first reason stays.
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('PUBLISH', KEYS[2], ARGV[1])
return 1
