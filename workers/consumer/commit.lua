-- Write the effects of handled entries, advance the position and renew the lease: all or nothing,
-- and only for the worker that holds the partition.
--
-- KEYS  1 lease    hash    see acquire.lua
--       2 retries  stream  entries to be handled again
--       3 dead     stream  entries that can't be handled
--       4 shared   stream  derived events of all calls of the partition
--       5 and more         the calls' derived streams
-- ARGV  1 fence    2 lease (ms), 0 to release the partition   3 position, '' if it is unchanged
--       4 MessagePack {ids of the retries that are done, fields of each dead letter,
--         {index of the call's stream, fields} of each derived event}
--       5 retention (s) of the calls' streams   6 length and 7 age (ms) that the shared stream keeps
--       8 turn: what identifies a commit of derived events without position and retries, else ''
--
-- Returns the server's Unix ms, or 0 if the worker no longer holds the partition; then nothing is
-- written. A commit that was written before, and whose reply was lost, is written once: it finds its
-- position stored or, if it has none, its first retry done or its turn stored.
--
-- Derived events and dead letters of calls that were erased are not written. Those calls are in the
-- ledger, the hash `erased` of the partition. It is not among the keys, because a user needs permission
-- to write to each of these.

local DEAD_LETTERS = 10000 -- kept per partition and group

local lease_ms = tonumber(ARGV[2])
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then
  return 0
end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local retries, dead_letters, appends = unpack(cmsgpack.unpack(ARGV[4]))

if ARGV[3] ~= '' then
  if redis.call('HGET', KEYS[1], 'position') == ARGV[3] then
    return now_ms
  end
elseif retries[1] and #redis.call('XRANGE', KEYS[2], retries[1], retries[1]) == 0
  or ARGV[8] ~= '' and redis.call('HGET', KEYS[1], 'turn') == ARGV[8] then
  return now_ms
end

-- A failing command ends a script but undoes nothing, and a retry would find the position stored. So a
-- key of another type, and a command that the user may not run, must fail here.
for i = 2, #KEYS do
  redis.call('XLEN', KEYS[i])
end
local ledger = string.match(KEYS[1], '^cs:{p%d+}:') .. 'erased'
local is_erased = {} -- by call
local function of_living_calls(entries, fields_of)
  local kept = {}
  for _, entry in ipairs(entries) do
    local fields = fields_of(entry)
    local call_id
    for i = 1, #fields, 2 do
      if fields[i] == 'call_id' then
        call_id = fields[i + 1]
        break
      end
    end
    if call_id and is_erased[call_id] == nil then
      is_erased[call_id] = redis.call('HGET', ledger, call_id) ~= false
    end
    if not call_id or not is_erased[call_id] then
      table.insert(kept, entry)
    end
  end
  return kept
end
dead_letters = of_living_calls(dead_letters, function(letter) return letter end)
appends = of_living_calls(appends, function(append) return append[2] end)
local function is_refused(command, key, ...)
  return not redis.acl_check_cmd(command, key, ...)
end
if #retries > 0 and is_refused('XDEL', KEYS[2], '0-0')
  or #dead_letters > 0 and is_refused('XADD', KEYS[3], '*', '', '')
  or #appends > 0 and is_refused('XTRIM', KEYS[4], 'MAXLEN', '~', 0) then
  return redis.error_reply('NOPERM XDEL, XADD or XTRIM is refused')
end
for i = 4, #appends > 0 and #KEYS or 0 do
  if is_refused('XADD', KEYS[i], '*', '', '') or is_refused('EXPIRE', KEYS[i], 0) then
    return redis.error_reply('NOPERM XADD or EXPIRE is refused')
  end
end
local until_ms = string.format('%.0f', now_ms + lease_ms)
redis.call('HSET', KEYS[1], 'owner', lease_ms > 0 and redis.call('HGET', KEYS[1], 'owner') or '',
  'until', until_ms, 'lasts', ARGV[2])
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[1], 'position', ARGV[3])
  redis.call('HDEL', KEYS[1], 'trying', 'tries')
end
if ARGV[8] ~= '' then
  redis.call('HSET', KEYS[1], 'turn', ARGV[8])
end
for _, id in ipairs(retries) do
  redis.call('XDEL', KEYS[2], id)
end
for _, fields in ipairs(dead_letters) do
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', DEAD_LETTERS, '*', unpack(fields))
end
for _, append in ipairs(appends) do
  local key, fields = KEYS[append[1]], append[2]
  -- One id in both streams, as in append.lua.
  local id = redis.call('XADD', KEYS[4], '*', unpack(fields))
  if redis.pcall('XADD', key, id, unpack(fields)).err then
    redis.call('XADD', key, '*', unpack(fields))
  end
end
for i = 5, #KEYS do
  redis.call('EXPIRE', KEYS[i], ARGV[5])
end
if #appends > 0 then
  redis.call('XTRIM', KEYS[4], 'MAXLEN', '~', ARGV[6])
  redis.call('XTRIM', KEYS[4], 'MINID', '~', string.format('%.0f', math.max(0, now_ms - ARGV[7])))
end
return now_ms
