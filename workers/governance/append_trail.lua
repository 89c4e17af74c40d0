-- Append entries to the audit trail, if the trail still ends as the writer read it.
--
-- KEYS  1 trail  stream
-- ARGV  1 digest of the last entry as the writer knows it, '' if it knows of none
--       2 MessagePack: a list of entries, each the list of its fields, the last of which is `digest`
--
-- Returns {1, ''} if the entries were appended, else {0, digest of the last entry}.
--
-- A trail that is empty although the writer knows a digest was deleted. The entries are appended all
-- the same. The first one names the digest before it, so the chain shows that its beginning is missing.

local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local tip = last and last[2][#last[2]]
if tip and tip ~= ARGV[1] then
  return {0, tip}
end
for _, fields in ipairs(cmsgpack.unpack(ARGV[2])) do
  redis.call('XADD', KEYS[1], '*', unpack(fields))
end
return {1, ''}
