-- Append entries to the audit trail, if the trail still ends as the writer read it.
--
-- KEYS  1 trail  stream
-- ARGV  1 digest of the last entry as the writer knows it, '' if the trail is empty
--       2 MessagePack: a list of entries, each the list of its fields, the last of which is `digest`
--
-- Returns '' if the entries were appended, else the digest of the last entry.

local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local tip = last and last[2][#last[2]] or ''
if tip ~= ARGV[1] then
  return tip
end
for _, fields in ipairs(cmsgpack.unpack(ARGV[2])) do
  redis.call('XADD', KEYS[1], '*', unpack(fields))
end
return ''
