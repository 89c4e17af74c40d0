-- Lease a partition to a worker, unless another worker's lease has not expired.
--
-- KEYS  1 lease    hash  owner    the worker, '' after a release
--                        until    Unix ms at which its lease ends, by the server's clock
--                        lasts    ms from its last renewal to `until`
--                        fence    number of this lease; each has a higher one
--                        position id of the last entry that was handled
--                        trying, tries  the entry that was begun, and how often; see begin.lua
--                        turn     the last commit without position and retries; see commit.lua
-- ARGV  1 worker   2 lease (ms)   3 position of a group that is new to the partition, or 'now'
--
-- A lease that ends later than if it had been renewed now was renewed before the server's clock was set
-- back. It has expired, too; a living owner loses it.
--
-- A group that begins now gets what was written while its first worker started, too.
--
-- Returns {fence, position, 1 if the former owner did not release the partition}, or {0} if another
-- worker holds it.

local STARTING_MS = 60000

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'owner', 'until', 'position', 'lasts')
local owner = lease[1] or ''
local until_ms = tonumber(lease[2])
local latest_ms = now_ms + (lease[4] or math.huge)
if owner ~= '' and owner ~= ARGV[1] and until_ms > now_ms and until_ms <= latest_ms then
  return {0}
end
local position = lease[3] or ARGV[3]
if position == 'now' then
  position = string.format('%.0f-0', math.max(0, now_ms - STARTING_MS))
end
local fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'position', position,
  'until', string.format('%.0f', now_ms + ARGV[2]), 'lasts', ARGV[2])
return {fence, position, owner == '' and 0 or 1}
