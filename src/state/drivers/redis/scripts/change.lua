-- Makes changes of one thread in their order, each in its own right. Answers with a number for each: 1 made, 0 refused by the fence.
-- ARGV: time to live in ms or '', then for each change its kind, token or '', place, namespace, head, body, and how many
-- values it brings, followed by the id and the bytes of each.
local guard, order, latest, index, bodies, writes, values = unpack(KEYS)

-- The order of storing: microseconds of this server's clock, made to rise whatever the clock does.
local function next_place_in_order()
  local now = redis.call('time')
  local micros = now[1] * 1000000 + now[2]
  local last = tonumber(redis.call('zrevrange', order, 0, 0, 'withscores')[2] or 0)
  return string.format('%.0f', math.max(micros, last + 1))
end

local answers, changed = {}, false
local at = 2
while at <= #ARGV do
  local kind, token, place, ns, head, body, count = unpack(ARGV, at, at + 6)
  local first, last = at + 7, at + 6 + 2 * count
  local fence = redis.call('hget', guard, 'fence')
  local allowed = token == '' or (fence and tonumber(fence) <= tonumber(token))
  if allowed then
    for value = first, last, 2 do redis.call('hsetnx', values, ARGV[value], ARGV[value + 1]) end
    if kind == 'writes' then
      local name = place .. redis.call('hincrby', writes, place, 1)
      redis.call('hset', writes, name, head)
      redis.call('hset', bodies, name, body)
    else
      if not redis.call('zscore', order, place) then
        redis.call('zadd', order, next_place_in_order(), place)
        redis.call('hset', latest, ns, place)
      end
      redis.call('hset', index, place, head)
      redis.call('hset', bodies, place, body)
    end
    changed = true
  end
  answers[#answers + 1] = allowed and 1 or 0
  at = last + 1
end
if changed then
  redis.call('hincrby', guard, 'revision', 1)
  if ARGV[1] ~= '' then
    for _, key in ipairs(KEYS) do redis.call('pexpire', key, ARGV[1]) end
  end
end
return answers
