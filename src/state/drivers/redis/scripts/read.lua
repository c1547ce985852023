-- Reads the named checkpoints, or without names the latest of a namespace, then ancestors of the last one until there are
-- `limit`. ARGV: limit, '1' to read the values as well, namespace, places.
-- Answers with a list for each checkpoint (its place, head and body, then head and body of each of its writes), and
-- with the ids and bytes of the values that they refer to.
local _, _, latest, index, bodies, writes, values = unpack(KEYS)
local limit, with_values = tonumber(ARGV[1]), ARGV[2] == '1'

local loaded, seen = {}, {}
local function load_values(head)
  if not with_values then return end
  for id in string.gmatch(string.match(head, '^[^\n]*'), '%S+') do
    local bytes = not seen[id] and redis.call('hget', values, id)
    seen[id] = true
    if bytes then
      loaded[#loaded + 1] = id
      loaded[#loaded + 1] = bytes
    end
  end
end

local found = {}
-- Returns the place of the parent.
local function read(place)
  local head = place and redis.call('hget', index, place)
  if not head then return '' end
  load_values(head)
  local rows = {place, head, redis.call('hget', bodies, place)}
  for n = 1, tonumber(redis.call('hget', writes, place) or 0) do
    local written = redis.call('hget', writes, place .. n)
    if written then
      load_values(written)
      rows[#rows + 1] = written
      rows[#rows + 1] = redis.call('hget', bodies, place .. n)
    end
  end
  found[#found + 1] = rows
  return string.match(head, '^[^\n]*\n([^\n]*)')
end

local parent
if #ARGV == 3 then parent = read(redis.call('hget', latest, ARGV[3])) end
for at = 4, #ARGV do parent = read(ARGV[at]) end
while parent ~= '' and #found < limit do parent = read(parent) end
return {found, loaded}
