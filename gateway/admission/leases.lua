-- Acquire or renew leases of a pool that all gateways share: all leases given, or none.
--
-- KEYS  1 leases  zset   lease id -> Unix ms, by this server's clock, at which the lease expires
--
-- ARGV  1 the limit of leases in the pool; '' renews without a limit, because these are in use
--       2 duration of a lease (ms)
--       3 ... lease ids; without any, the pool is only counted. An id that is already registered
--       counts once, so a retry is safe
--
-- Returns {1 if all leases are registered now, else 0; number of leases in the pool}.
--
-- Requires Redis 7.0 or Valkey 8.

local limit, lease_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

-- Lua's tostring writes large numbers with an exponent.
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
-- Never shorten the key's expiry: other gateways' leases may be longer.
if #ARGV >= 3 and redis.call('PTTL', KEYS[1]) < lease_ms then
  redis.call('PEXPIRE', KEYS[1], decimal(lease_ms))
end
return {1, taken}
