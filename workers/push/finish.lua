-- End an attempt: write how it ended, and what follows, in one step.
--
-- KEYS  1 due  2 queue  3 tries  4 history  see claim.lua
--       5 dead     stream  messages that were given up
-- ARGV  1 call   2 token   3 step: see delivery.py   4 pause (ms)   5 status, or ''
--       6 reason, or ''   7 duration (ms)   8 why the message is dead, or ''
--       9 entries that the history keeps   10 most dead letters   11 lifetime of the keys (s)
--
-- Returns {1, messages of the call that wait}, or {0, 0} if the claim has expired and another attempt
-- was begun: then only the history is written. If it is repeated because a reply was lost, the history contains the end twice.

local function field(entry, name)
  for i = 1, #entry, 2 do
    if entry[i] == name then
      return entry[i + 1]
    end
  end
  return ''
end

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local tries = redis.call('HGET', KEYS[3], ARGV[1])
local attempts, first_ms, token = string.match(tries or '', '^(%d+) (%d+) (.+)$')
local is_mine = token == ARGV[2]
local begun = redis.call('XRANGE', KEYS[4], ARGV[2], ARGV[2])[1]
local about = begun and begun[2] or {}
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[9], '*', 'of', ARGV[2],
  'message', field(about, 'message'), 'type', field(about, 'type'), 'call_id', ARGV[1],
  'attempt', field(about, 'attempt'), 'step', ARGV[3], 'status', ARGV[5], 'reason', ARGV[6],
  'took_ms', ARGV[7], 'pause_ms', ARGV[4])
redis.call('EXPIRE', KEYS[4], ARGV[11])
if not is_mine then
  return {0, 0}
end
local due_ms = now_ms
if ARGV[3] == 'retry' then
  due_ms = now_ms + ARGV[4]
  redis.call('HSET', KEYS[3], ARGV[1], attempts .. ' ' .. first_ms .. ' -')
else
  if ARGV[8] == 'budget' or ARGV[3] == 'skipped' then -- nothing was accepted since the first attempt
    redis.call('HSET', KEYS[3], ARGV[1], '0 ' .. first_ms .. ' -')
  else
    redis.call('HDEL', KEYS[3], ARGV[1]) -- a message that waits for its endpoint starts over
  end
  local message = ARGV[3] ~= 'gone' and redis.call('LPOP', KEYS[2])
  if ARGV[3] == 'dead' and message then
    redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[10], '*', 'call_id', ARGV[1], 'message', message,
      'reason', ARGV[8], 'attempts', attempts, 'status', ARGV[5], 'last_reason', ARGV[6])
    redis.call('EXPIRE', KEYS[5], ARGV[11])
  end
end
local waiting = redis.call('LLEN', KEYS[2])
if waiting == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[3], ARGV[1])
else
  redis.call('ZADD', KEYS[1], string.format('%.0f', due_ms), ARGV[1])
end
return {1, waiting}
