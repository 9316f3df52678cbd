-- Stop submitting for a scope, and tell every process at once.
-- Needs in_force.lua
-- Needs note_act.lua
-- KEYS[1] holds   KEYS[2] channel of changed holds   KEYS[3] and KEYS[4]: see note_act.lua
-- ARGV[1] scope: partner, run:NUMBER or brand:ID   ARGV[2] the hold in JSON   ARGV[3] and ARGV[4]: see note_act.lua
-- Returns 1; 2 when it was held already and now is for longer; or 0 when it is held for as long already: the first
-- reason stays.
local now = redis.call('TIME')
local known, answer = redis.call('HGET', KEYS[1], ARGV[1]), 1
if in_force(known, now[1] * 1000 + math.floor(now[2] / 1000)) then
  local ends, wanted = cjson.decode(known)['until'], cjson.decode(ARGV[2])['until']
  if not ends or (wanted and wanted <= ends) then
    note_act('nothing')
    return 0
  end
  answer = 2
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PUBLISH', KEYS[2], ARGV[1])
note_act('done')
return answer
