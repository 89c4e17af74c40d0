-- Add the messages of one event to the queues of their calls: all, and once.
--
-- KEYS  1 seen   zset   events whose messages were added -> Unix ms; the newest ones
--       then for each message:
--       due      zset   call -> Unix ms, by the server's clock, at which its first message may be tried
--       queue    list   the messages of the call for the subscription, in order
--       dead     stream messages that were given up
-- ARGV  1 the event, '' if its messages are to be added again   2 lifetime of the keys (s)
--       3 longest queue   4 most calls that wait, per subscription   5 most dead letters
--       then for each message: call, the message
--
-- Messages of calls that were erased are dropped; see claim.lua about the ledger.
--
-- Returns {how many messages were added to queues, {positions from 1 of those that became dead letters}}.

local SEEN = 1000 -- more than a worker handles before it commits its position

local time = redis.call('TIME')
local now_ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
if ARGV[1] ~= '' and redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return {0, {}}
end
local ledger = string.match(KEYS[1], '^cs:{p%d+}:') .. 'erased'
local added, full = 0, {}
for i = 1, (#KEYS - 1) / 3 do
  local due, queue, dead = KEYS[3 * i - 1], KEYS[3 * i], KEYS[3 * i + 1]
  local call, message = ARGV[2 * i + 4], ARGV[2 * i + 5]
  local waits = redis.call('ZSCORE', due, call)
  local is_erased = redis.call('HGET', ledger, call)
  if is_erased then -- nothing of it is kept
    redis.call('DEL', queue)
  elseif redis.call('LLEN', queue) >= tonumber(ARGV[3])
    or not waits and redis.call('ZCARD', due) >= tonumber(ARGV[4]) then
    redis.call('XADD', dead, 'MAXLEN', '~', ARGV[5], '*', 'call_id', call, 'message', message,
      'reason', 'queue-full', 'attempts', '0')
    redis.call('EXPIRE', dead, ARGV[2])
    table.insert(full, i)
  else
    redis.call('RPUSH', queue, message)
    if not waits then
      redis.call('ZADD', due, now_ms, call)
    end
    redis.call('EXPIRE', queue, ARGV[2])
    redis.call('EXPIRE', due, ARGV[2])
    added = added + 1
  end
end
if ARGV[1] ~= '' and (added > 0 or #full > 0) then
  redis.call('ZADD', KEYS[1], now_ms, ARGV[1])
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -SEEN - 1)
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end
return {added, full}
