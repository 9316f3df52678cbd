-- Take slots out of one bucket or several in one atomic step: all of them give, or none does.
--
-- KEYS       the buckets, each a HASH: `tat` is the next free slot, µs of Redis TIME; `server` is the run_id of the
--            server that wrote it. When the rate of KEYS[1] can change, its pace comes last, a HASH that adaptive.lua
--            describes; KEYS[1] then has the `spacing` of its latest slots as well.
-- ARGV[1]    `take` takes the slots; `look` takes none; `clear` forgets what was given, then looks
-- ARGV[2]    how many slots are wanted
-- ARGV[3]    how many slots are needed: when fewer are free, none is given
-- ARGV[4]    how far ahead of now the last slot may lie, µs
-- ARGV[5]    how many buckets there are
-- ARGV[6..]  for each bucket three, µs: the spacing between slots; for how long an unused slot stays usable; for how
--            long nothing is given when it is unknown what was given before.
--            With a pace then three more, µs: the lateness budget; the window in which the platform counts; how long a
--            little more is tried. The last two are those that adaptive.lua gets.
-- returns    {slots given (0: refused), now in µs, the first slot in µs after now, the spacing in µs};
--            with a pace also the moment of the latest cut, µs (0: none), and the run_id of this server

local act, wanted, least, horizon = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local buckets = tonumber(ARGV[5])
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

local pace, quiet, cut = KEYS[buckets + 1], 0, nil
-- These three come behind the buckets' numbers, and only with a pace.
local lateness, SECOND, PROBE = unpack(ARGV, 3 * buckets + 6)
lateness, SECOND, PROBE = tonumber(lateness), tonumber(SECOND), tonumber(PROBE)
-- µs: a limit that was found is forgotten when CALM has passed after the probe; ROOM is the most that is left for
-- lateness.
local CALM, ROOM = 2000000, 50000

-- Return the spacing at this moment: the one set by hand, else the caller's; wider while the platform takes less.
local function paced(key, spacing)
  local amount, window, ends, limit, hold
  amount, window, ends, limit, hold, quiet, cut =
    unpack(redis.call('HMGET', pace, 'amount', 'window', 'by_hand_until', 'limit', 'hold', 'quiet', 'cut'))
  quiet, cut = tonumber(quiet) or 0, tonumber(cut) or 0
  if cut > now + SECOND then -- the clock was set back, so the moments that were noted mean nothing any more
    redis.call('HDEL', pace, 'limit', 'since', 'hold', 'quiet', 'cut', 'old')
    limit, quiet, cut = nil, 0, 0
  end
  if ends and tonumber(ends) <= now then -- the configured rate is in force again
    redis.call('HDEL', pace, 'amount', 'window', 'by_hand', 'by_hand_until')
    amount = nil
  end
  if amount then
    spacing = math.floor((window + lateness) / amount) + 1
  end
  if not limit then
    return spacing
  end
  -- While nothing is sent nothing is learned, so the climb waits too.
  local idle = now - math.max(tonumber(redis.call('HGET', key, 'tat')) or now, quiet)
  if idle > SECOND then
    hold = hold + idle
    redis.call('HSET', pace, 'hold', whole(hold))
  end
  -- At a low limit more room for lateness costs little, and each refusal is a large part of what is sent.
  local room = math.max(lateness, math.min(ROOM, SECOND / limit / 2))
  local learned, beyond = math.floor((SECOND + room) / limit) + 1, now - hold
  -- Processes give up slots, so they send less than they are given: up to a tenth more is tried. Half a request more
  -- than the limit causes one refusal a second. A whole one more would cause two before the first one is known.
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
  local spacing, back, unknown = tonumber(ARGV[3 * i + 3]), tonumber(ARGV[3 * i + 4]), tonumber(ARGV[3 * i + 5])
  if i == 1 and pace then
    local own = spacing
    spacing = paced(key, own)
    unknown = unknown + math.max(spacing - own, 0)
  end
  local state = redis.call('HMGET', key, 'tat', 'server')
  local tat = tonumber(state[1])
  -- No grant can have left `tat` later than `unknown`: then the clock was set back, or the limit was another one.
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
