-- One atomic step over one bucket or several: all of them give, or none does.
--
-- KEYS       the buckets, HASHes: `tat` the next free slot, µs of Redis TIME; `server` the run_id that wrote it;
--            behind them, if the rate of KEYS[1] can change, its pace, a HASH that adaptive.lua describes; KEYS[1]
--            then notes the `spacing` of its latest slots too
-- ARGV[1]    `take` the slots, only `look`, or `clear`: forget what was given, then look
-- ARGV[2]    slots wanted
-- ARGV[3]    slots that must be had, else none is given
-- ARGV[4]    how far ahead of now the last slot may lie, µs
-- ARGV[5..]  three for each bucket, µs: spacing between slots; how far back a slot that nobody took stays usable;
--            how long to give nothing when it is unknown what was given before;
--            behind them, with a pace, the lateness budget, µs
-- returns    {slots given (0: refused), now in µs, the first slot in µs after now, spacing in µs};
--            with a pace also the moment of its latest cut, µs (0: none), and the run_id of this server

local act, wanted, least, horizon = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local buckets = math.floor((#ARGV - 4) / 3)
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
-- A restart or a failover may have lost the last writes; either shows as another run_id.
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')

local function whole(number)
  return string.format('%.0f', number)
end

local function store(key, tat)
  redis.call('HSET', key, 'tat', whole(tat), 'server', server)
  redis.call('PEXPIRE', key, 86400000 + math.ceil(math.max(tat - now, 0) / 1000))
end

local SECOND, PROBE, CALM, ROOM = 1000000, 3000000, 2000000, 50000
local pace, quiet, cut = KEYS[buckets + 1], 0, nil

-- The spacing at this moment: by what was set by hand, else as the caller has it; wider while the platform takes less.
local function paced(key, spacing)
  local amount, window, limit, hold
  amount, window, limit, hold, quiet, cut =
    unpack(redis.call('HMGET', pace, 'amount', 'window', 'limit', 'hold', 'quiet', 'cut'))
  quiet, cut = tonumber(quiet) or 0, tonumber(cut) or 0
  if cut > now + SECOND then -- the clock was set back: what was found can no longer be placed in time
    redis.call('HDEL', pace, 'limit', 'since', 'hold', 'quiet', 'cut', 'old')
    limit, quiet, cut = nil, 0, 0
  end
  if amount then
    spacing = math.floor((window + ARGV[#ARGV]) / amount) + 1
  end
  if not limit then
    return spacing
  end
  -- Nothing is learned while nothing is sent: the climb waits as well.
  local idle = now - math.max(tonumber(redis.call('HGET', key, 'tat')) or now, quiet)
  if idle > SECOND then
    hold = hold + idle
    redis.call('HSET', pace, 'hold', whole(hold))
  end
  -- Where slots lie far apart, room for lateness costs little, and a refusal is much.
  local room = math.max(ARGV[#ARGV], math.min(ROOM, SECOND / limit / 2))
  local learned, beyond = math.floor((SECOND + room) / limit) + 1, now - hold
  -- A process that gives up slots sends less than it is given, so up to a tenth more is tried. Half a request more is
  -- one refusal a second; one more would be two, before anybody knows of the first.
  if beyond >= 0 then
    learned = SECOND / (limit * (1.01 + 0.09 * math.min(beyond / PROBE, 1)) + 0.5)
  end
  if beyond > PROBE then
    learned = learned / 2 ^ ((beyond - PROBE) / SECOND)
    if learned < spacing and beyond > PROBE + CALM then
      redis.call('HDEL', pace, 'limit')
    end
  end
  return math.max(spacing, math.ceil(learned))
end

local first, widest, spacings = 0, 0, {}
for i = 1, buckets do
  local key = KEYS[i]
  local spacing, back, unknown = tonumber(ARGV[3 * i + 2]), tonumber(ARGV[3 * i + 3]), tonumber(ARGV[3 * i + 4])
  if i == 1 and pace then
    local own = spacing
    spacing = paced(key, own)
    unknown = unknown + math.max(spacing - own, 0)
  end
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
  first = math.max(first, tat, now - back, quiet)
  widest = math.max(widest, spacing)
  spacings[i] = spacing
end

local count = math.min(wanted, math.floor((now + horizon - first) / widest) + 1)
if count < least then
  return {0, now, first - now, widest, cut, cut and server}
end
if act == 'take' then
  local last = first + (count - 1) * widest
  for i = 1, buckets do
    store(KEYS[i], last + spacings[i])
  end
  if pace then
    redis.call('HSET', KEYS[1], 'spacing', whole(spacings[1]))
  end
end
return {count, now, first - now, widest, cut, cut and server}
