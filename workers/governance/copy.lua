-- Copy one page of a stream to another key, to rewrite it without what was deleted from it.
--
-- KEYS  1 stream   2 copy
-- ARGV  1 id of the last entry that was copied, or '0'   2 entries of the page
--       3 lifetime of the copy (s), if the rewriting is abandoned
-- Returns {entries that were copied, id of the last one}.

local entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])
for _, entry in ipairs(entries) do
  redis.call('XADD', KEYS[2], entry[1], unpack(entry[2]))
end
redis.call('EXPIRE', KEYS[2], ARGV[3])
return {#entries, #entries > 0 and entries[#entries][1] or ARGV[1]}
