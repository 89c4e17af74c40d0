-- Make all messages of a subscription due now, as if none had been tried.
--
-- KEYS  1 due  2 tries  see claim.lua
-- Returns how many calls wait.

local time = redis.call('TIME')
local now_ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('DEL', KEYS[2])
local calls = redis.call('ZRANGE', KEYS[1], 0, -1)
for _, call in ipairs(calls) do
  redis.call('ZADD', KEYS[1], now_ms, call)
end
return #calls
