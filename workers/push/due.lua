-- Find calls with a message that may be tried now. Writes nothing.
--
-- KEYS  the key `due` of each subscription, see enqueue.lua
-- ARGV  for each subscription: how many calls at most
-- Returns, for each subscription, the calls, those that wait longest first.

local time = redis.call('TIME')
local now_ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local found = {}
for i, key in ipairs(KEYS) do
  found[i] = redis.call('ZRANGE', key, '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, ARGV[i])
end
return found
