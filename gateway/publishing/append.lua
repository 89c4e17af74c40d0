-- Append one batch of one stream's events: once, in order, and only for the stream's owner.
--
-- KEYS  1 writers   hash     stream_id -> "epoch:n", the owner and the last n it has written;
--                            "stream_id:claim" -> the claim of that owner, see below;
--                            ":owner" -> "tenant carrier" that own the call's id
--       2 call      stream   the call's events
--       3 events    stream   the events of all calls of the partition
--       4 live      zset     "call_id stream_id" -> Unix ms at which the owner's lease ends
--
-- ARGV  1 the stream  {v, call_id, stream_id, proposed epoch (Unix ms), gateway, lease (ms),
--                      retention of the call (s), length and age (ms) that `events` keeps, tenant,
--                      carrier}; a janitor, and the spool of a former version, name no tenant and
--                      no carrier
--       2 the batch   {n of the first event, true if the last event ends the stream, events,
--                      for a janitor, Unix ms: write only if the lease in `live` had lapsed by then,
--                      and was not renewed since, as its record sums up the events until then; or 0};
--                      an event is {type, at, name, value, name, value ...};
--                      a batch without events only renews the lease
--       3 age         ms since the gateway took the stream, by its monotonic clock; absent: 0
--       1 and 2 are MessagePack arrays, because many small arguments cost the client more than the
--       rest.
--
-- Returns the last n that this gateway had written before the batch (0: none), or RESUMED - n (-3
-- and below) if the batch resumed the stream; -1 if another gateway has taken the stream over; -2 if
-- the batch requires a lapsed lease and the lease has not lapsed (or the stream has ended and has
-- none). For -1 and -2 no event was written. The error ERASED means that the call was erased: nothing
-- of it is written again.
--
-- Erased calls are in the ledger, the hash `erased` of the partition: call_id -> JSON, of which `owner`
-- is the tenant and carrier that owned the id, if known. It is not among the keys: of a client whose
-- password was changed, Redis accepts ten arguments at most, and replies to more with an error that
-- would seem final.
--
-- Ownership of a call id. The first batch of a call sets the tenant and the carrier that own its id.
-- The same id of another tenant or carrier is another call: its id is "tenant.carrier.id", in its
-- events, its leases and the names of its keys, which are in the same partition.
--
-- Ownership of a stream. The proposed epoch, the gateway, and the call's tenant and carrier name one
-- ownership. Its first batch claims the stream. The epoch is the proposed one, or the owner's plus
-- one if that is more, so clocks do not matter. Of two gateways, the one that opened the stream last
-- owns it, whichever batch arrives first. A janitor's record closes a stream and claims nothing: if
-- its gateway writes again, the stream is resumed at a higher epoch, which begins with the stream's
-- `stream.started`. A gateway counts its events from 1 over all its epochs; in each epoch `n` starts
-- at 1, `base` lower.
--
-- All keys share a hash tag. Needs Redis 7.0 or Valkey 8, nothing newer.

local FORMER_MAX = 8 -- former owners' names that are kept; older ones are recognized by their age
-- A claim appears younger by the transit time of its batch, so ages that differ by less prove
-- nothing. Then the proposed epochs decide, if they differ by no more; else the last batch wins.
local NEAR_MS = 250

local v, call_id, stream_id, proposed, gateway, lease_ms, retention_s, length, age_ms, tenant,
  carrier = unpack(cmsgpack.unpack(ARGV[1]))
local first, ends_stream, events, lapsed_at_ms = unpack(cmsgpack.unpack(ARGV[2]))
local if_lapsed = lapsed_at_ms > 0
local last = first + #events - 1

-- Lua's own number to string would round epochs to 14 digits.
local function decimal(number)
  return string.format('%.0f', number)
end

local batch_owner = tenant and tenant .. ' ' .. carrier
local name = decimal(proposed) .. ' ' .. gateway .. ' ' .. (batch_owner or '')
local writers_key, call_key = KEYS[1], KEYS[2]
local ledger_key = string.gsub(KEYS[4], 'live$', 'erased')
local claim
local call_owner -- tenant and carrier of the id; false: none yet; nil: the batch's own, not read
local erased -- the ledger's record of the call; false: it was not erased
while true do -- once, unless the id belongs to another tenant or carrier
  erased = redis.call('HGET', ledger_key, call_id)
  claim = redis.call('HGET', writers_key, stream_id .. ':claim')
  claim = claim and cmsgpack.unpack(claim)
  if claim and claim[1] == name then
    break -- the batch's gateway owns the stream, so the call's id is its own
  end
  call_owner = redis.call('HGET', writers_key, ':owner') or erased and cjson.decode(erased).owner
  if not batch_owner or not call_owner or call_owner == batch_owner then
    break
  end
  -- The id stays with its owner for as long as this call needs the longer one. If that is taken by
  -- another call, too, it gets longer still.
  redis.call('EXPIRE', writers_key, decimal(retention_s), 'GT')
  local longer = tenant .. '.' .. carrier .. '.' .. call_id
  writers_key = string.sub(writers_key, 1, -1 - #call_id) .. longer
  call_key = string.sub(call_key, 1, -1 - #call_id) .. longer
  call_id = longer
end
if erased then
  return redis.error_reply('ERASED the call was erased')
end
tenant = tenant or string.match(call_owner or '', '^%S+') or 'default'

local owner = redis.call('HGET', writers_key, stream_id)
local owner_epoch, owner_n = string.match(owner or '0:0', '^(%d+):(%d+)$')
owner_epoch, owner_n = tonumber(owner_epoch), tonumber(owner_n)

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local since_ms = now_ms - math.max(0, tonumber(ARGV[3] or 0))
local member = call_id .. ' ' .. stream_id

-- The claim of the last gateway that claimed the stream: its name, epoch and base, when it claimed
-- the stream by the server's clock, the entry of its stream.started, the epoch of the janitor's record
-- that closed the stream (0: none) with the n written by then, and the names of former owners.
local claimant, claim_epoch, base, claimed_ms, started, lost_epoch, lost_n, former
if claim then
  claimant, claim_epoch, base, claimed_ms, started, lost_epoch, lost_n, former = unpack(claim)
elseif owner then -- written by a version that kept no claims
  claimant, claim_epoch, base = proposed == owner_epoch and name or '', owner_epoch, 0
  claimed_ms, started, lost_epoch, lost_n, former = owner_epoch, '', 0, 0, {}
end
local is_claim_changed = false

local function keep_claim()
  redis.call('HSET', writers_key, stream_id .. ':claim', cmsgpack.pack({
    claimant, claim_epoch, base, claimed_ms, started, lost_epoch, lost_n, former
  }))
end

local epoch, offset, written = proposed, 0, 0
local is_late = false -- all events were written before, or the batch only renews the lease
local resumes -- the epoch that the batch resumes at a higher one
local repeated -- the stream.started with which the higher one begins

if if_lapsed then
  if owner_epoch > proposed then
    return -1
  end
  local until_ms = redis.call('ZSCORE', KEYS[4], member)
  if not until_ms or tonumber(until_ms) > math.min(now_ms, lapsed_at_ms) then
    return -2
  end
  if owner_epoch == proposed then
    written = owner_n
  elseif claimant and claim_epoch == owner_epoch then
    lost_epoch, lost_n = proposed, owner_n
    is_claim_changed = true
  end
elseif claimant == name then
  if owner_epoch == claim_epoch then
    written = owner_n + base
    is_late = last <= written
  elseif owner_epoch == lost_epoch then
    written = lost_n + base
    if started ~= '' then
      repeated = redis.call('XRANGE', call_key, started, started)[1]
    end
    resumes = claim_epoch
    claim_epoch, lost_epoch = owner_epoch + 1, 0
    base = written - (repeated and 1 or 0)
    is_claim_changed = true
  else -- taken over by a gateway of a version that kept no claims
    return -1
  end
  epoch, offset = claim_epoch, base
else
  if claimant then
    for _, each in ipairs(former) do
      if each == name then
        return -1
      end
    end
    local older_ms = claimed_ms - since_ms
    local is_older = older_ms > NEAR_MS
    if math.abs(older_ms) <= NEAR_MS then
      local behind_ms = tonumber(string.match(claimant, '^%d+') or owner_epoch) - proposed
      is_older = 0 < behind_ms and behind_ms <= NEAR_MS
    end
    -- A claim in the future: the server's clock was set back, so ages prove nothing.
    is_older = is_older and claimed_ms <= now_ms
    -- Keep the name of a refused gateway as well: an earlier batch may arrive later, and appear
    -- younger.
    table.insert(former, is_older and name or claimant)
    if #former > FORMER_MAX then
      table.remove(former, 1)
    end
    if is_older then
      keep_claim()
      return -1
    end
  end
  epoch = math.max(proposed, owner_epoch + 1)
  claimant, claim_epoch, base, claimed_ms = name, epoch, 0, since_ms
  started, lost_epoch, lost_n, former = '', 0, 0, former or {}
  is_claim_changed = true
end

-- A failing command ends a script but undoes nothing. What may fail (a key of another type, no
-- memory, a replica, no disk) must fail here, or at the first XADD: before anything is appended that
-- a retry would append again. ZADD comes first even if the lease ends, because a server that is out
-- of memory refuses it, but would accept ZREM and everything after it.
if ends_stream or is_late then
  -- A batch that arrives late, after the stream has ended, must not restore its lease.
  redis.call('ZADD', KEYS[4], 'XX', decimal(now_ms + lease_ms), member)
else
  redis.call('ZADD', KEYS[4], decimal(now_ms + lease_ms), member)
end
if ends_stream then
  redis.call('ZREM', KEYS[4], member)
end
redis.call('XRANGE', call_key, '+', '+', 'COUNT', 1)
redis.call('XTRIM', KEYS[3], 'MAXLEN', '~', decimal(length))
redis.call('XTRIM', KEYS[3], 'MINID', '~', decimal(math.max(0, now_ms - age_ms)))

-- After the first XADD, only a refused HSET would make a retry append the events again.
if not redis.acl_check_cmd('HSET', writers_key, stream_id, '') then
  return redis.error_reply('NOPERM HSET is refused')
end

-- Append an entry to both streams under one id, so that a reader can switch between them. Every
-- entry of a call is in the partition's stream as well, so its ids are never behind the call's, unless
-- that stream was deleted and the clock set back. Then the call's entry gets an id of its own.
local function add(entry)
  local id = redis.call('XADD', KEYS[3], '*', unpack(entry))
  local added = redis.pcall('XADD', call_key, id, unpack(entry))
  return added.err and redis.call('XADD', call_key, '*', unpack(entry)) or id
end

if repeated then
  local entry = repeated[2] -- its fields are in the order of those below
  entry[10], entry[12] = decimal(epoch), '1'
  table.insert(entry, 'resumes')
  table.insert(entry, decimal(resumes))
  add(entry)
end

for i, event in ipairs(events) do
  local n = first + i - 1
  if n > written then
    local id = add({
      'v', v, 'type', event[1], 'call_id', call_id, 'stream_id', stream_id,
      'epoch', decimal(epoch), 'n', decimal(n - offset), 'at', event[2], 'gateway', gateway,
      'tenant', tenant, unpack(event, 3)
    })
    if event[1] == 'stream.started' and not if_lapsed then
      started = id
      is_claim_changed = true
    end
  end
end

local last_n = math.max(written, last) - offset
redis.call('HSET', writers_key, stream_id, decimal(epoch) .. ':' .. decimal(last_n))
if is_claim_changed then
  keep_claim()
end
if batch_owner and call_owner == false then
  redis.call('HSET', writers_key, ':owner', batch_owner)
end
redis.call('EXPIRE', writers_key, decimal(retention_s))
redis.call('EXPIRE', call_key, decimal(retention_s))
return resumes and -3 - written or written
