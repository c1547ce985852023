-- Raises the fence, or answers 0 when it stands higher. ARGV: time to live in ms or '', token.
local fence = redis.call('hget', KEYS[1], 'fence')
if fence and tonumber(fence) > tonumber(ARGV[2]) then return 0 end
redis.call('hset', KEYS[1], 'fence', ARGV[2])
if ARGV[1] ~= '' then
  for _, key in ipairs(KEYS) do redis.call('pexpire', key, ARGV[1]) end
end
return 1
