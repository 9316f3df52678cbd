-- Note a URL that is called each time a run is finished.
-- Needs note_act.lua
-- KEYS[1] run   KEYS[2] hooks   KEYS[3] and KEYS[4]: see note_act.lua
-- ARGV[1] run number   ARGV[2] URL   ARGV[3] and ARGV[4]: see note_act.lua
-- Returns 1, or 0 when the run no longer exists.
if redis.call('HEXISTS', KEYS[1], 'name') == 0 then return 0 end
if redis.call('HGET', KEYS[1], 'hook') ~= ARGV[2] then note_act('done') end
redis.call('HSET', KEYS[1], 'hook', ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
return 1
