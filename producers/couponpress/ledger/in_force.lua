-- Shared: tell whether a hold is in force. A hold may say in its record when it ends by itself.
-- KEYS, ARGV: none
-- `in_force` takes a hold's record, or false, and Redis's time in ms; it returns true or false.
local function in_force(record, now_ms)
  if not record then return false end
  local ends = cjson.decode(record)['until']
  return type(ends) ~= 'number' or ends * 1000 > now_ms
end
