-- The platform said "too fast" (`refused`), or a process says how much it took before (`counted`).
--
-- The first refusal is a cut. What had been given out before it is of the same epoch and cuts no more. A cut at a
-- rate that is not known to be good stops the fleet until the platform's window is empty again: what it took within
-- the second up to the refused request is the limit that it enforces, and the processes add that up meanwhile. A cut
-- while just a little more was tried goes back to what is known, as does one refusal at a held limit, for requests
-- travel unevenly; unless the refusals become many. Then the limit is held until enough calls have paid for them.
--
-- KEYS[1]    the pace, a HASH; µs of Redis TIME if not said otherwise:
--            `configured` the rate that the workers were started with, a text for people;
--            `amount`, `window`, `by_hand` set by hand: so many in so many µs, and since when;
--            `limit` how many a second the platform is believed to take, and `since` when it is lowered;
--            `cut` the moment of the request whose refusal made the latest cut; `old` when its window is empty again of
--            what was given before;
--            `start` and `hold`: between them the limit is held, then more is tried; `quiet`: nothing is sent before;
--            `mild` 1 if the cut left the limit as it is; `stray` 1 if it did so while the limit was held;
--            `before` how many a second were given at the latest cut that did not;
--            `stuck` how many cuts in a row found nothing lower; `counted`, `counted_later`, `counted_last` what the
--            processes counted; `refused` how many requests were
-- KEYS[2]    the bucket, a HASH; see bucket.lua
-- ARGV[1]    `refused` or `counted`
-- ARGV[2]    refused: the moment of the first refused request's slot, µs; counted: the cut, µs
-- ARGV[3]    the lateness budget, µs
-- ARGV[4]    refused: how many requests; counted: how many of a process's were taken within the second up to the cut
-- ARGV[5]    refused: how long the platform asks to wait, µs (0: it does not say);
--            counted: how many were taken within the second that ends a lateness budget after the cut
-- ARGV[6]    counted: how many within the one that ends when the slots given before the cut are over
-- returns    {the latest cut, µs; how long nothing is given from now on, µs}

local moment, lateness = tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local SECOND, PROBE = 1000000, 3000000 -- as in bucket.lua
-- A refusal is paid for by so many calls, so that fewer than 1 % are refused; a limit below six would take too long.
local PAID_BY, SHORTEST_HOLD, LONGEST_DEBT = 110, 3000000, 20000000

local pace = {
  cut = 0, old = 0, start = 0, hold = 0, quiet = 0,
  mild = 0, stray = 0, before = 0, stuck = 0, counted = 0, counted_later = 0, counted_last = 0, refused = 0,
}
local stored = redis.call('HGETALL', KEYS[1])
for i = 1, #stored, 2 do
  pace[stored[i]] = tonumber(stored[i + 1])
end

local function cut(mild)
  local bucket = redis.call('HMGET', KEYS[2], 'tat', 'spacing')
  local next_slot, spacing = math.max(tonumber(bucket[1]) or now, now), tonumber(bucket[2]) or SECOND
  local before = math.floor((SECOND + lateness) / spacing + 0.5)
  local holding = pace.limit and moment < pace.hold
  local trying = pace.limit and not holding and moment < pace.hold + PROBE
  pace.mild = mild and (trying or (holding and pace.stray == 0)) and 1 or 0
  pace.stray = (holding and pace.mild == 1) and 1 or 0
  pace.cut, pace.old, pace.start = moment, next_slot + SECOND + lateness, next_slot
  pace.counted, pace.counted_later, pace.counted_last, pace.refused = 0, 0, 0, 0
  if pace.mild == 1 then
    pace.quiet = math.max(pace.quiet, next_slot + lateness) -- the window is just full, and requests travel unevenly
    return
  end
  pace.stuck = (holding and pace.limit >= pace.before * 0.98) and pace.stuck + 1 or 0
  pace.since = pace.limit and pace.since or now
  pace.before = before
  pace.limit = math.max(1, math.floor(before * 0.7)) -- until the processes have counted
  pace.quiet = math.max(pace.quiet, next_slot + SECOND + lateness)
  pace.start = pace.quiet
end

if ARGV[1] == 'refused' then
  if moment >= pace.old then
    cut(true)
  elseif pace.mild == 1 and pace.limit and pace.refused > math.max(10, pace.limit * 0.1) then
    cut(false)
  end
  pace.refused = pace.refused + ARGV[4]
  pace.quiet = math.max(pace.quiet, now + ARGV[5])
elseif moment == pace.cut and pace.limit then
  local taken = 0
  for i, name in ipairs({'counted', 'counted_later', 'counted_last'}) do
    pace[name] = pace[name] + ARGV[3 + i]
    taken = math.max(taken, pace[name])
  end
  if pace.mild == 1 then
    pace.limit = math.max(pace.limit, taken)
  elseif taken < pace.before * 0.98 then
    pace.limit = math.max(1, taken)
  else -- the platform counts in another way: come down step by step
    local share = pace.stuck == 0 and 1 or math.max(0.5, 1 - 0.025 * 2 ^ pace.stuck)
    pace.limit = math.max(1, math.floor(pace.before * share))
  end
end

if pace.limit then
  local debt = PAID_BY * SECOND / pace.limit * (pace.mild == 1 and math.max(pace.refused, 1) or 1)
  pace.hold = math.max(pace.start, pace.quiet) + math.max(SHORTEST_HOLD, math.min(debt, LONGEST_DEBT))
end
local written = {}
for name, value in pairs(pace) do
  if name ~= 'amount' and name ~= 'window' and name ~= 'by_hand' then
    written[#written + 1] = name
    written[#written + 1] = string.format('%.0f', value)
  end
end
redis.call('HSET', KEYS[1], unpack(written))
return {pace.cut, math.max(pace.quiet - now, 0)}
