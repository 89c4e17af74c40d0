-- Place a legal hold on a call, unless the call was erased.
--
-- KEYS  1 held    hash  legal holds: call_id -> JSON
--       2 erased  hash  the ledger of erased calls
-- ARGV  1 call_id   2 the hold, JSON
-- Returns `erased`, `held` if there is a hold already, which stays, or `placed`.

if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then
  return 'erased'
end
return redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 1 and 'placed' or 'held'
