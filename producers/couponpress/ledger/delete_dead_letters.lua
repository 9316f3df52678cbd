-- Delete dead letters: a person has seen them. Their specs ended when they became dead letters, and stay as they are.
-- Needs note_act.lua
-- KEYS[1] dead-letter chunks   KEYS[2] dead-letter messages   KEYS[3] and KEYS[4]: see note_act.lua
-- ARGV[1] JSON list of chunk ids   ARGV[2] '1' to delete the messages too, else ''
-- ARGV[3] and ARGV[4]: see note_act.lua
-- Returns how many chunks and how many messages were deleted.
local chunks, messages = 0, 0
for _, chunk_id in ipairs(cjson.decode(ARGV[1])) do chunks = chunks + redis.call('HDEL', KEYS[1], chunk_id) end
if ARGV[2] == '1' then
  messages = redis.call('XLEN', KEYS[2])
  redis.call('DEL', KEYS[2])
end
note_act(chunks + messages > 0 and string.format('%d chunks, %d messages', chunks, messages) or 'nothing')
return {chunks, messages}
