-- Move dead letters to the entries that are handled again, without the fields that say why they are
-- dead letters.
--
-- KEYS  1 dead     stream  entries that can't be handled
--       2 retries  stream  entries to be handled again
-- ARGV  ids of dead letters; those that are not there are skipped, so that it can be repeated
-- Returns how many were moved.

local moved = 0
for _, id in ipairs(ARGV) do
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if entry then
    local fields = {}
    for i = 1, #entry[2], 2 do
      if string.sub(entry[2][i], 1, 5) ~= 'dead_' then
        fields[#fields + 1] = entry[2][i]
        fields[#fields + 1] = entry[2][i + 1]
      end
    end
    redis.call('XADD', KEYS[2], '*', unpack(fields))
    redis.call('XDEL', KEYS[1], id)
    moved = moved + 1
  end
end
return moved
