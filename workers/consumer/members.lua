-- Renew a worker's membership of its group, and drop members whose lease has expired, or ends so late
-- that it was renewed before the server's clock was set back. Workers may have leases of other lengths.
--
-- KEYS  1 members  zset  worker -> Unix ms at which its lease ends, by the server's clock
-- ARGV  1 worker   2 lease (ms), 0 to leave
-- Returns the number of members.

local LONGEST_MS = 3600000 -- far longer than any lease

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local now, until_ms = string.format('%.0f', now_ms), string.format('%.0f', now_ms + ARGV[2])
redis.call('ZADD', KEYS[1], until_ms, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[1], string.format('%.0f', now_ms + LONGEST_MS + ARGV[2]), '+inf')
return redis.call('ZCARD', KEYS[1])
