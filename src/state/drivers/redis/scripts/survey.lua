-- All that is stored of a thread but its bytes: the revision, places in their order, heads, and the sizes of the values.
local guard, order, _, index, _, writes, values = unpack(KEYS)
local sizes = {}
for _, id in ipairs(redis.call('hkeys', values)) do
  sizes[#sizes + 1] = id
  sizes[#sizes + 1] = redis.call('hstrlen', values, id)
end
return {
  redis.call('hget', guard, 'revision') or '',
  redis.call('zrange', order, 0, -1, 'withscores'),
  redis.call('hgetall', index),
  redis.call('hgetall', writes),
  sizes,
}
