-- Note how far a selection is, if it is where the caller believes it to be. A full server runs it too.
-- KEYS[1] the selection   KEYS[2] its places   KEYS[3] all selections
-- ARGV[1] seconds that it is kept   ARGV[2] its state, '' for any   ARGV[3] JSON object of fields to set
-- ARGV[4] JSON object: chunk id -> chosen positions, to add
-- Returns {its state before, '1' when somebody asked to stop it, else ''}; the state is '' when it is gone.
local state = redis.call('HGET', KEYS[1], 'state') or ''
local stop = redis.call('HGET', KEYS[1], 'stop') or ''
if ARGV[2] ~= '' and state ~= ARGV[2] then return {state, stop} end
local fields, now = cjson.decode(ARGV[3]), redis.call('TIME')[1]
if state == '' then
  if not fields.state then return {state, stop} end -- it is gone
  redis.call('ZADD', KEYS[3], now, fields.id)
end
for name, value in pairs(fields) do redis.call('HSET', KEYS[1], name, value) end
for chunk_id, positions in pairs(cjson.decode(ARGV[4])) do redis.call('HSET', KEYS[2], chunk_id, positions) end
redis.call('HSET', KEYS[1], 'told', now)
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[1])
return {state, stop}
