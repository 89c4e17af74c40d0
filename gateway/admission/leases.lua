-- Take places of a stock that all gateways share, or renew them: all that are asked for, or none.
--
-- KEYS  1 places  zset   lease id -> Unix ms, by this server's clock, at which the lease ends
--
-- ARGV  1 the most places that may be taken; '' renews, which no limit stops: those sessions live
--       2 how long a lease lasts (ms)
--       3 ... lease ids; none only looks. One that is taken already counts once: a retry is safe
--
-- Returns {1 if they are taken now, else 0; how many places are taken in all}.
--
-- Needs Redis 7.0 or Valkey 8, nothing newer.

local limit, lease_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

-- Lua's own number to string would write large numbers with an exponent.
local function decimal(number)
  return string.format('%.0f', number)
end

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', decimal(now_ms))
local taken = redis.call('ZCARD', KEYS[1])
for i = 3, #ARGV do
  if not redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    taken = taken + 1
  end
end
if limit and taken > limit then
  return {0, redis.call('ZCARD', KEYS[1])}
end
for i = 3, #ARGV do
  redis.call('ZADD', KEYS[1], decimal(now_ms + lease_ms), ARGV[i])
end
-- Never sooner than it was to: others' leases may be longer.
if #ARGV >= 3 and redis.call('PTTL', KEYS[1]) < lease_ms then
  redis.call('PEXPIRE', KEYS[1], decimal(lease_ms))
end
return {1, taken}
