-- Put the copy of a stream in its place, after copying what is new in it.
--
-- Redis only marks a deleted entry: its content stays in memory, and in snapshots, until all its
-- neighbours are deleted, too. So a stream from which entries were erased is rewritten.
--
-- KEYS  1 stream   2 copy   3 erased  hash  the ledger
-- ARGV  1 id of the last entry that was copied, or '0'   2 how many were copied
--       3 number of erased calls when the copy began   4 most entries that may be new
--
-- Returns 1; 0 if there are too many new entries, so that copying must continue; -1 if the copy was
-- dropped, because calls were erased meanwhile, entries were deleted from the stream after they were
-- copied, or somebody deleted the copy.

if redis.call('HLEN', KEYS[3]) ~= tonumber(ARGV[3]) or redis.call('XLEN', KEYS[2]) ~= tonumber(ARGV[2])
then
  redis.call('DEL', KEYS[2])
  return -1
end
local entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[4] + 1)
if #entries > tonumber(ARGV[4]) then
  return 0
end
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not first then
  redis.call('DEL', KEYS[2])
  return 1 -- a stream without entries has no content
end
for _, entry in ipairs(entries) do
  redis.call('XADD', KEYS[2], entry[1], unpack(entry[2]))
end
-- If the stream was trimmed meanwhile, the content of entries that are trimmed here may remain. Then
-- the stream must be rewritten once more, so its mark of deleted entries is kept.
local trimmed = redis.call('XTRIM', KEYS[2], 'MINID', '=', first[1])
if redis.call('XLEN', KEYS[2]) ~= redis.call('XLEN', KEYS[1]) then
  redis.call('DEL', KEYS[2])
  return -1
end

local function info(reply)
  local fields = {}
  for i = 1, #reply, 2 do
    fields[reply[i]] = reply[i + 1]
  end
  return fields
end

local stream = info(redis.call('XINFO', 'STREAM', KEYS[1]))
redis.call('XSETID', KEYS[2], stream['last-generated-id'], 'ENTRIESADDED', stream['entries-added'],
  'MAXDELETEDID', trimmed > 0 and stream['max-deleted-entry-id'] or '0-0')
for _, reply in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = info(reply)
  local create = {'XGROUP', 'CREATE', KEYS[2], group['name'], group['last-delivered-id']}
  if group['entries-read'] then
    create[6], create[7] = 'ENTRIESREAD', group['entries-read']
  end
  redis.call(unpack(create))
  local pending = redis.call('XPENDING', KEYS[1], group['name'], '-', '+', group['pending'] + 1)
  for _, each in ipairs(pending) do
    redis.call('XCLAIM', KEYS[2], group['name'], each[2], 0, each[1], 'IDLE', each[3],
      'RETRYCOUNT', each[4], 'FORCE', 'JUSTID')
  end
end
local lives_ms = redis.call('PTTL', KEYS[1])
redis.call('RENAME', KEYS[2], KEYS[1])
if lives_ms > 0 then
  redis.call('PEXPIRE', KEYS[1], lives_ms)
else
  redis.call('PERSIST', KEYS[1])
end
return 1
