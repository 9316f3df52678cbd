-- Shared: note what happened to a spec in its chunk's history; what is plain takes ten bytes.
-- KEYS, ARGV: none
-- `event_of` returns one event: the spec's position, what happened and by whom (one byte), ms since the chunk was made
-- (7 bits per byte, the lowest first), and what else is to be told. `ledger.history` reads it.
-- `note_events` appends events to a history. When it holds more than 20 for each spec of the chunk on average, only the
-- last 20 of each spec are kept, and the older ones are counted.
local EVENTS_KEPT = 20
-- What happened: a state that the spec came to, `q` it was asked about, `d` a person sent it again, `+` older events.
local EVENTS = 'wylpasfrxcqd+'

local function event_of(position, letter, by, made, now_ms, told)
  local seconds, micros = string.match(made or '', '^(%d+)%.(%d+)$')
  local ms = math.max(0, now_ms - (seconds or 0) * 1000 - math.floor((micros or 0) / 1000))
  local moment = {}
  repeat
    local low = ms % 128
    ms = math.floor(ms / 128)
    moment[#moment + 1] = string.char(ms > 0 and low + 128 or low)
  until ms == 0
  local what = 32 + (string.find(EVENTS, letter, 1, true) - 1) * 6 + by
  return string.char(position, what) .. table.concat(moment) .. told
end

local function note_events(history, events, specs)
  if #events == 0 then return end
  if redis.call('RPUSH', history, unpack(events)) <= (EVENTS_KEPT + 1) * specs + 100 then return end
  local all, newest, kept, older = redis.call('LRANGE', history, 0, -1), {}, {}, {}
  local counts = 32 + (#EVENTS - 1) * 6
  for at = #all, 1, -1 do
    local position = string.byte(all[at], 1)
    if string.byte(all[at], 2) == counts then
      older[position] = (older[position] or 0) + tonumber(string.sub(all[at], 4))
    elseif (kept[position] or 0) < EVENTS_KEPT then
      kept[position] = (kept[position] or 0) + 1
      newest[#newest + 1] = all[at]
    else
      older[position] = (older[position] or 0) + 1
    end
  end
  redis.call('LTRIM', history, 1, 0) -- no element is left
  for position, count in pairs(older) do
    redis.call('RPUSH', history, string.char(position, counts, 0) .. count)
  end
  for at = #newest, 1, -1 do redis.call('RPUSH', history, newest[at]) end
end
