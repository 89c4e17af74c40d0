-- Note that a worker begins an entry, so that an entry that crashes each worker is found.
--
-- KEYS  1 lease  hash  see acquire.lua
-- ARGV  1 fence  2 id of the entry
-- Returns how often the entry was begun, or 0 if the worker no longer holds the partition.

if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then
  return 0
end
if redis.call('HGET', KEYS[1], 'trying') ~= ARGV[2] then
  redis.call('HSET', KEYS[1], 'trying', ARGV[2], 'tries', 0)
end
return redis.call('HINCRBY', KEYS[1], 'tries', 1)
