-- Learn the platform's limit: it said "too fast" (`refused`), or a process reports how many requests it took before
-- (`counted`).
--
-- The first refusal makes a cut. Refusals of slots that were given before the cut belong to it and make no other one.
-- When the rate was not known to be good, the fleet stops until the platform's window is empty again. The platform
-- enforces a limit: what it took within the second up to the refused request. The processes count that meanwhile, and
-- their counts are added up here. A mild cut leaves the limit as it is: it comes while a little more is tried, or once
-- while the limit is held, because requests need different times to arrive. When its refusals become many, it is made
-- a full cut. Then the limit is held until enough calls were made for each refusal.
--
-- KEYS[1]    the pace, a HASH; µs of Redis TIME if not said otherwise:
--            `configured`: the rate that the workers were started with, a text for people;
--            `amount`, `window`, `by_hand`, `by_hand_until`: set by hand, so many requests in so many µs, since when,
--            and when it ends by itself;
--            `limit`: how many a second the platform is believed to take; `since`: from when on it is lowered;
--            `cut`: the moment of the request whose refusal made the latest cut; `old`: when the platform's window no
--            longer holds what was given before;
--            `start` and `hold`: between them the limit is held, after them more is tried; `quiet`: nothing is sent
--            before it;
--            `mild`: 1 when the cut left the limit as it is; `stray`: 1 when it did so while the limit was held;
--            `before`: how many a second were given at the latest cut that was not mild;
--            `stuck`: how many cuts in a row found no lower limit; `counted`, `counted_later`, `counted_last`: what the
--            processes counted; `refused`: how many requests were refused since the cut
-- KEYS[2]    the bucket, a HASH; see bucket.lua
-- ARGV[1]    `refused` or `counted`
-- ARGV[2]    refused: the moment of the first refused request's slot, µs; counted: the cut, µs
-- ARGV[3]    the lateness budget, µs
-- ARGV[4]    the window in which the platform counts, µs   ARGV[5] for how long a little more is tried, µs: both are
--            those that bucket.lua gets
-- ARGV[6]    refused: how many requests; counted: how many of a process's were taken within the second up to the cut
-- ARGV[7]    refused: how long the platform asks to wait, µs (0: it does not say);
--            counted: how many were taken within the second that ends a lateness budget after the cut
-- ARGV[8]    counted: how many within the one that ends when the slots given before the cut are over
-- returns    {the latest cut, µs; how long nothing is given from now on, µs}

local moment, lateness = tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local SECOND, PROBE = tonumber(ARGV[4]), tonumber(ARGV[5])
-- So many calls follow each refusal before more is tried, so that fewer than 1 % are refused. At a limit below six that
-- would take too long, so the debt ends after LONGEST_DEBT.
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
  pace.refused = pace.refused + ARGV[6]
  pace.quiet = math.max(pace.quiet, now + ARGV[7])
elseif moment == pace.cut and pace.limit then
  local taken = 0
  for i, name in ipairs({'counted', 'counted_later', 'counted_last'}) do
    pace[name] = pace[name] + ARGV[5 + i]
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
  if name ~= 'amount' and name ~= 'window' and name ~= 'by_hand' and name ~= 'by_hand_until' then
    written[#written + 1] = name
    written[#written + 1] = string.format('%.0f', value)
  end
end
redis.call('HSET', KEYS[1], unpack(written))
return {pace.cut, math.max(pace.quiet - now, 0)}
