-- Begin an attempt to deliver the first message of a call, unless another worker tries it.
--
-- KEYS  1 due  2 queue  see enqueue.lua
--       3 tries    hash    call -> 'attempts first-ms token' of its first message: how many attempts
--                          were begun, when the first one was, and the newest attempt. After a message
--                          that was given up, first-ms is still that of its first attempt
--       4 history  stream  attempts that were begun, and how they ended
-- ARGV  1 call   2 lifetime of the claim (ms)   3 worker   4 entries that the history keeps
--       5 lifetime of the keys (s)
--
-- The attempt is written before anything is sent. If the worker crashes, the claim expires, another
-- worker begins another attempt, and the history shows an attempt without an end.
--
-- Nothing of a call that was erased is sent. The ledger, the hash `erased` of the partition, is not
-- among the keys, because a user needs permission to write to each of these.
--
-- Returns {token, attempts, ms since the first attempt, message}, or {} if the call is not due.

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) > now_ms then
  return {}
end
local ledger = string.match(KEYS[1], '^cs:{p%d+}:') .. 'erased'
if redis.call('HGET', ledger, ARGV[1]) then
  redis.call('DEL', KEYS[2])
end
local message = redis.call('LINDEX', KEYS[2], 0)
if not message then -- it was deleted, or it expired
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[3], ARGV[1])
  return {}
end
local attempts, first_ms = 1, now_ms
local tries = redis.call('HGET', KEYS[3], ARGV[1])
if tries then
  local before, since = string.match(tries, '^(%d+) (%d+)')
  attempts, first_ms = before + 1, tonumber(since)
end
local head = cjson.decode(message)
local token = redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[4], '*', 'message', head.id,
  'type', head.type, 'call_id', head.call_id, 'source', head.source, 'entry', head.entry,
  'attempt', attempts, 'worker', ARGV[3])
redis.call('HSET', KEYS[3], ARGV[1], string.format('%d %.0f %s', attempts, first_ms, token))
redis.call('ZADD', KEYS[1], string.format('%.0f', now_ms + ARGV[2]), ARGV[1])
for i = 1, 4 do
  redis.call('EXPIRE', KEYS[i], ARGV[5])
end
return {token, attempts, string.format('%.0f', math.max(0, now_ms - first_ms)), message}
