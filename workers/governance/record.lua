-- Record in the ledger that a call is erased, so that no writer writes anything of it again.
--
-- KEYS  1 erased   hash  the ledger: call_id -> JSON
--       2 erasing  set   calls of which something may be left
--       The legal holds (hash `held`) and the live streams (zset `live`) of the partition are not among
--       them, because a user needs permission to write to each.
-- ARGV  1 call_id
--       2 the record, JSON; '' to check whether it is possible, and to write nothing
--       3 `ended`: refuse a held or a live call; `any`: only a held one;
--         `decided`: refuse nothing, because another partition of the call has the record
--
-- Returns `held` or `live` if the call may not be erased; `erased` if it was erased before;
-- `recorded`.

local tag = string.match(KEYS[1], '^cs:{p%d+}:')
if ARGV[3] ~= 'decided' and redis.call('HEXISTS', tag .. 'held', ARGV[1]) == 1 then
  return 'held'
end
local is_erased = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1
if not is_erased and ARGV[3] == 'ended' then
  local prefix = ARGV[1] .. ' '
  for _, member in ipairs(redis.call('ZRANGE', tag .. 'live', 0, -1)) do
    if string.sub(member, 1, #prefix) == prefix then
      return 'live'
    end
  end
end
if ARGV[2] ~= '' then
  if not is_erased then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  end
  redis.call('SADD', KEYS[2], ARGV[1])
end
return is_erased and 'erased' or 'recorded'
