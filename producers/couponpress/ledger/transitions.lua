-- Move specs of one chunk from state to state. Only this script and redrive.lua change a spec's state.
-- A move that MOVES does not allow changes nothing, so every call may be repeated. What was made is noted in the history
-- of the chunk's specs.
-- Needs note_event.lua
-- Needs flows.lua
-- KEYS[1] chunk   KEYS[2] run   KEYS[3] reasons   KEYS[4] open chunks of the lane   KEYS[5] awaiting
-- KEYS[6] retries   KEYS[7] looks   KEYS[8] finished runs   KEYS[9] counts of all runs   KEYS[10] waiting since, of the
-- lane   KEYS[11] when the run's reasons were seen   KEYS[12] totals   KEYS[13] history of the chunk's specs
-- KEYS[14] ends of pauses   KEYS[15] flows of the lane
-- ARGV[1] chunk id   ARGV[2] run number   ARGV[3] ms within which released specs are to be taken up
-- ARGV[4] JSON list of moves: [position, move, tries spent, delay in ms, code, record, tries that must have been spent
-- before or -1, id of the answer or callback that said so]. Of `pause`, the delay is the moment when it ends, or 0
-- ARGV[5] the canary: after so many rejected specs of a run, with none taken, the run is to be held
-- ARGV[6] when the chunk was made that the moves are for; '' to move any chunk with the id
-- ARGV[7] who learned it: 0 the fleet by itself, 1 an answer to a submit, 2 a callback, 3 a query, 4 a person
-- Returns for each move 1 when it was made, 0 when the spec's state does not allow it; then -1 at the end when the run
-- is to be held because of its canary.

-- move -> the state it leads to, and the states it may leave
local MOVES = {
  accept  = {'a', 'wylp'},  again   = {'y', 'w'},    look   = {'l', 'wp'},    release = {'w', 'y'},
  absent  = {'y', 'la'},    reject  = {'r', 'wylp'}, expire = {'x', 'wyla'},  cancel  = {'c', 'wylp'},
  succeed = {'s', 'wylpax'}, fail   = {'f', 'wylpa'}, dead_letter = {'x', 'wy'},
  pause   = {'p', 'wy'},    resume  = {'w', 'p'},
  asked   = {'', 'la'}, -- a query that changed nothing
}
local WORDS = {w = 'waiting', y = 'retrying', l = 'looking', p = 'paused', a = 'accepted', s = 'succeeded',
               f = 'failed', r = 'rejected', x = 'expired', c = 'cancelled'}

local chunk = redis.call('HMGET', KEYS[1], 's', 't', 'owner', 'cancelled', 'lost', 'made', 'flow')
if not chunk[1] then return {} end
if ARGV[6] ~= '' and chunk[6] and chunk[6] ~= ARGV[6] then return {} end -- another chunk has its id
local states, moved, counts, answered = chunk[1], {}, {}, false
local endings, seen, seen_at, tries_spent = {}, {}, {}, 0
local events, by, noted = {}, tonumber(ARGV[7]), nil
local tries = (chunk[2] or '') .. string.rep('0', #states - #(chunk[2] or ''))
local taken, refused = false, 0 -- what the platform said about specs that were sent
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)

local function replace(text, at, letter)
  return string.sub(text, 1, at - 1) .. letter .. string.sub(text, at + 1)
end

local function bytes_of(digits)
  return (string.gsub(digits, '%x%x', function(pair) return string.char(tonumber(pair, 16)) end))
end

-- A Request-ID in half its length: how many pairs of hex digits it begins with, these as bytes, and the rest as it is.
local function packed(id)
  local digits = string.match(id, '^[%dA-F]*')
  local pairs_of_digits = math.floor(#digits / 2)
  digits = string.sub(digits, 1, 2 * pairs_of_digits)
  return string.char(pairs_of_digits) .. bytes_of(digits) .. string.sub(id, #digits + 1)
end

-- Note a move. Of a first try that was accepted and whose callback brought the picture, the Request-ID is kept packed,
-- where version 0.2.0 reads nothing, and the last 8 digits of the callback's id.
local function note(move, to, state, spent_before)
  local told, who, id = '', by, move[8]
  if who == 1 and move[3] == 0 then who = 0 end -- nothing was sent
  if to == 's' and who == 2 and spent_before == 1 then
    local digits = string.match(id, '%x%x%x%x%x%x%x%x$')
    told = digits and bytes_of(digits) or ''
  elseif to == 'a' and who == 1 and spent_before == 0 then
    told = id ~= '' and '\31\31\31' .. packed(id) or ''
  else
    local accepted_by = ''
    if state == 'a' and to ~= 's' and to ~= 'q' then
      local record = redis.call('HGET', KEYS[1], move[1])
      accepted_by = record and cjson.decode(record)[4] or ''
    end
    told = string.gsub(move[5] .. '\31' .. id .. '\31' .. accepted_by, '\31+$', '')
  end
  events[#events + 1] = event_of(move[1], to, who, chunk[6], now_ms, told)
end

-- A callback may come before the answer that accepted the spec is recorded, and an answer may be recorded twice.
local function is_late_answer(move)
  if move[2] ~= 'accept' or by ~= 1 or move[8] == '' then return false end
  noted = noted or redis.call('LRANGE', KEYS[13], 0, -1)
  local accepted = event_of(move[1], 'a', by, chunk[6], 0, '')
  for _, event in ipairs(noted) do
    if string.sub(event, 1, 2) == string.sub(accepted, 1, 2) then return false end
  end
  return true
end

for number, move in ipairs(cjson.decode(ARGV[4])) do
  local position, to, from = move[1], MOVES[move[2]][1], MOVES[move[2]][2]
  local at = position + 1
  local state = string.sub(states, at, at)
  moved[number] = 0
  local spent = state ~= '' and string.byte(tries, at) - string.byte('0')
  local allowed = spent and string.find(from, state, 1, true) and (move[7] == -1 or move[7] == spent)
  if allowed then moved[number] = 1 end
  if allowed and to == '' then
    note(move, 'q', state, spent)
  elseif spent and not allowed and is_late_answer(move) then
    note(move, to, state, spent)
  elseif allowed then
    -- Accepted specs go on although their run is cancelled. One that the platform does not know is not sent again.
    if chunk[4] and state == 'a' and to == 'y' then to = 'c' end
    if string.find('asf', to, 1, true) then taken = true end
    if state == 'w' and to == 'r' then refused = refused + 1 end
    local place = ARGV[1] .. '/' .. position
    if move[2] ~= 'release' then note(move, to, state, spent) end
    local record = move[6]
    if to == 'a' and by == 1 and spent == 0 and move[8] ~= '' then record = cjson.encode({'', '', '', move[8]}) end
    states = replace(states, at, to)
    spent = spent + move[3]
    tries_spent = tries_spent + move[3]
    -- A spec that the platform has was sent, even when the callback comes before the answer is recorded.
    if string.find('asf', to, 1, true) then spent = math.max(spent, 1) end
    tries = replace(tries, at, string.char(math.min(126, string.byte('0') + spent)))
    if state == 'w' then answered = true end
    if state == 'x' then -- the picture came after the spec had expired: subtract the reason
      local told = redis.call('HGET', KEYS[1], position)
      local code = told and cjson.decode(told)[2] or ''
      local reason = WORDS[state] .. ' ' .. code
      if code ~= '' and redis.call('HINCRBY', KEYS[3], reason, -1) < 1 then redis.call('HDEL', KEYS[3], reason) end
    end
    counts[state] = (counts[state] or 0) - 1
    counts[to] = (counts[to] or 0) + 1
    if state == 'y' then redis.call('ZREM', KEYS[6], place) end
    if state == 'l' then
      redis.call('ZREM', KEYS[7], place)
      redis.call('HDEL', KEYS[1], 'l' .. position)
    end
    if state == 'p' then redis.call('ZREM', KEYS[14], place) end
    if to == 'p' and move[4] > 0 then redis.call('ZADD', KEYS[14], move[4], place) end
    if to == 'y' then redis.call('ZADD', KEYS[6], now_ms + move[4], place) end
    if to == 'l' then
      redis.call('ZADD', KEYS[7], now_ms + move[4], place)
      redis.call('HSET', KEYS[1], 'l' .. position, now_ms)
    end
    if record ~= '' then
      redis.call('HSET', KEYS[1], position, record)
    elseif to ~= 'p' then -- a paused spec keeps why it was to be tried again
      redis.call('HDEL', KEYS[1], position)
    end
    if string.find('sfrxc', to, 1, true) then
      local ending = move[5] == '' and WORDS[to] or WORDS[to] .. ' ' .. move[5]
      endings[ending] = (endings[ending] or 0) + 1
      if move[5] ~= '' and to ~= 's' then
        seen[ending] = (seen[ending] or 0) + 1
        seen_at[ending] = place
      end
    end
    if to == 'a' then
      redis.call('ZADD', KEYS[5], now_ms, ARGV[1])
      redis.call('HSET', KEYS[1], 'accepted_ms', now_ms)
    end
  end
end
note_events(KEYS[13], events, #states)
if not next(counts) then return moved end

redis.call('HSET', KEYS[1], 's', states, 't', tries)
if chunk[5] and answered then redis.call('HDEL', KEYS[1], 'lost', 'lost_by') end
local lane = string.sub(ARGV[2], 1, 1)
for letter, change in pairs(counts) do
  if change ~= 0 then
    redis.call('HINCRBY', KEYS[2], WORDS[letter], change)
    redis.call('HINCRBY', KEYS[9], lane .. ' ' .. WORDS[letter], change)
  end
end
for reason, count in pairs(seen) do
  redis.call('HINCRBY', KEYS[3], reason, count)
  local before = redis.call('HGET', KEYS[11], reason)
  redis.call('HSET', KEYS[11], reason, (before and string.match(before, '^%d+') or now_ms) .. ' ' .. now_ms .. ' ' .. seen_at[reason])
end
for ending, count in pairs(endings) do redis.call('HINCRBY', KEYS[12], ending, count) end
if tries_spent > 0 then redis.call('HINCRBY', KEYS[12], 'tries', tries_spent) end
if (counts.w or 0) < 0 and not string.find(states, 'w', 1, true) then
  redis.call('ZREM', KEYS[10], ARGV[1])
elseif (counts.w or 0) > 0 then -- a retry waits since its chunk was made
  local seconds, micros = string.match(chunk[6] or '', '^(%d+)%.(%d+)$')
  redis.call('ZADD', KEYS[10], 'NX', (seconds or now[1]) * 1000 + math.floor((micros or 0) / 1000), ARGV[1])
end
if not string.find(states, 'a', 1, true) then redis.call('ZREM', KEYS[5], ARGV[1]) end
if not chunk[3] then -- without a lease nobody else opens or closes the chunk
  local flow = flow_of(ARGV[1], chunk[7])
  if not string.find(states, 'w', 1, true) then
    redis.call('ZREM', KEYS[4], ARGV[1])
    make_unready(KEYS[15], flow, ARGV[2], ARGV[1])
  elseif (counts['w'] or 0) > 0 then
    redis.call('ZADD', KEYS[4], now_ms + ARGV[3], ARGV[1])
    make_ready(KEYS[15], flow, ARGV[2], {ARGV[1]})
  end
end
local run = redis.call('HMGET', KEYS[2], 'waiting', 'retrying', 'looking', 'paused', 'accepted', 'canary')
local open = 0
for state = 1, 5 do open = open + (tonumber(run[state]) or 0) end
if run[6] ~= 'passed' then
  if taken then
    redis.call('HSET', KEYS[2], 'canary', 'passed')
  elseif refused > 0 and redis.call('HINCRBY', KEYS[2], 'canary', refused) >= tonumber(ARGV[5]) and open > 0 then
    moved[#moved + 1] = -1
  end
end
if open == 0 then
  redis.call('HSET', KEYS[2], 'finished_ms', now_ms)
  redis.call('ZADD', KEYS[8], now_ms, ARGV[2])
end
return moved
