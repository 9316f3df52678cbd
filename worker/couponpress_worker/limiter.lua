-- One atomic step over one bucket or several: all of them give, or none does.
--
-- KEYS       the buckets, HASHes: `tat` the next free slot, µs of Redis TIME; `server` the run_id that wrote it
-- ARGV[1]    `take` the slots, only `look`, or `clear`: forget what was given, then look
-- ARGV[2]    slots wanted
-- ARGV[3]    slots that must be had, else none is given
-- ARGV[4]    how far ahead of now the last slot may lie, µs
-- ARGV[5..]  three for each bucket, µs: spacing between slots; how far back a slot that nobody took stays usable;
--            how long to give nothing when it is unknown what was given before
-- returns    {slots given (0: refused), now in µs, the first slot in µs after now, spacing in µs}

local act, wanted, least, horizon = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
-- A restart or a failover may have lost the last writes; either shows as another run_id.
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')

local function store(key, tat)
  redis.call('HSET', key, 'tat', string.format('%.0f', tat), 'server', server)
  redis.call('PEXPIRE', key, 86400000 + math.ceil(math.max(tat - now, 0) / 1000))
end

local first, widest = 0, 0
for i, key in ipairs(KEYS) do
  local spacing, back, unknown = tonumber(ARGV[3 * i + 2]), tonumber(ARGV[3 * i + 3]), tonumber(ARGV[3 * i + 4])
  local state = redis.call('HMGET', key, 'tat', 'server')
  local tat = tonumber(state[1])
  -- Later than any grant can have left it: the clock was set back, or the limit was another one.
  if not tat or state[2] ~= server or tat > now + unknown then
    tat = now + unknown
    store(key, tat)
  end
  if act == 'clear' then
    tat = now - back
    store(key, tat)
  end
  first = math.max(first, tat, now - back)
  widest = math.max(widest, spacing)
end

local count = math.min(wanted, math.floor((now + horizon - first) / widest) + 1)
if count < least then
  return {0, now, first - now, widest}
end
if act == 'take' then
  local last = first + (count - 1) * widest
  for i, key in ipairs(KEYS) do
    store(key, last + tonumber(ARGV[3 * i + 2]))
  end
end
return {count, now, first - now, widest}
