-- Append one batch of one stream's events: once, in order, and only for the stream's owner.
--
-- KEYS  1 writers   hash     stream_id -> "epoch:n", the owner and the last n it has written
--       2 call      stream   the call's events
--       3 events    stream   the events of all calls of the partition
--       4 live      zset     "call_id stream_id" -> Unix ms at which the owner's lease ends
--
-- ARGV, each a MessagePack array, because many small arguments cost the client more than the rest:
--       1 the stream  {v, call_id, stream_id, epoch (Unix ms), gateway, lease (ms), retention of
--                      the call (s), length and age (ms) that `events` keeps}
--       2 the batch   {n of the first event, true if the last event ends the stream, events,
--                      true to write only if the lease that stands in `live` has lapsed};
--                      an event is {type, at, name, value, name, value ...};
--                      a batch without events only renews the lease
--
-- Returns the last n that was written before this batch (0: none by this epoch), -1 if a higher
-- epoch owns the stream, or -2 if its lease had to have lapsed and has not (or the stream has ended
-- and has none). With -1 and -2 nothing was written.
--
-- All keys share a hash tag. Needs Redis 7.0 or Valkey 8, nothing newer.

local v, call_id, stream_id, epoch, gateway, lease_ms, retention_s, length, age_ms =
  unpack(cmsgpack.unpack(ARGV[1]))
local first, ends_stream, events, if_lapsed = unpack(cmsgpack.unpack(ARGV[2]))

-- Lua's own number to string would round epochs to 14 digits.
local function decimal(number)
  return string.format('%.0f', number)
end

local written = 0
local is_late = false
local owner = redis.call('HGET', KEYS[1], stream_id)
if owner then
  local owner_epoch, owner_n = string.match(owner, '^(%d+):(%d+)$')
  if tonumber(owner_epoch) > epoch then
    return -1
  end
  if tonumber(owner_epoch) == epoch then
    written = tonumber(owner_n)
    is_late = first + #events - 1 <= written
  end
end

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local member = call_id .. ' ' .. stream_id

if if_lapsed then
  local until_ms = redis.call('ZSCORE', KEYS[4], member)
  if not until_ms or tonumber(until_ms) > now_ms then
    return -2
  end
end

-- A failing command ends a script but undoes nothing. What may fail (a key of another type, no
-- memory) therefore fails here, or at the first XADD: before anything is appended that a retry
-- would append again.
if ends_stream then
  redis.call('ZREM', KEYS[4], member)
elseif is_late then
  -- What a timed-out connection delivers after the stream has ended must not bring its lease back.
  redis.call('ZADD', KEYS[4], 'XX', decimal(now_ms + lease_ms), member)
else
  redis.call('ZADD', KEYS[4], decimal(now_ms + lease_ms), member)
end
redis.call('XTRIM', KEYS[3], 'MAXLEN', '~', decimal(length))
redis.call('XTRIM', KEYS[3], 'MINID', '~', decimal(math.max(0, now_ms - age_ms)))

-- The only command that comes after the first XADD and that an ACL may refuse with effect.
if not redis.acl_check_cmd('HSET', KEYS[1], stream_id, '') then
  return redis.error_reply('NOPERM HSET is refused')
end

for i, event in ipairs(events) do
  local n = first + i - 1
  if n > written then
    local entry = {
      '*', 'v', v, 'type', event[1], 'call_id', call_id, 'stream_id', stream_id,
      'epoch', decimal(epoch), 'n', decimal(n), 'at', event[2], 'gateway', gateway,
      unpack(event, 3)
    }
    redis.call('XADD', KEYS[2], unpack(entry))
    redis.call('XADD', KEYS[3], unpack(entry))
  end
end

local last = math.max(written, first + #events - 1)
redis.call('HSET', KEYS[1], stream_id, decimal(epoch) .. ':' .. decimal(last))
redis.call('EXPIRE', KEYS[1], decimal(retention_s))
redis.call('EXPIRE', KEYS[2], decimal(retention_s))
return written
