-- Renew a worker's membership of its group, and drop members whose lease has expired.
--
-- KEYS  1 members  zset  worker -> Unix ms at which its lease ends, by the server's clock
-- ARGV  1 worker   2 lease (ms), 0 to leave
-- Returns the number of members.

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], string.format('%.0f', now_ms + ARGV[2]), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now_ms))
return redis.call('ZCARD', KEYS[1])
