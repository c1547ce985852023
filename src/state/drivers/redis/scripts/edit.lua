-- Takes steps that were planned on what `survey` told, unless the thread has changed since: then answers 0; -1 when the fence refuses.
-- ARGV: the revision, then JSON: a list of [command, number of its key, arguments…], then the token or ''.
local fence = redis.call('hget', KEYS[1], 'fence')
if ARGV[3] ~= '' and not (fence and tonumber(fence) <= tonumber(ARGV[3])) then return -1 end
if (redis.call('hget', KEYS[1], 'revision') or '') ~= ARGV[1] then return 0 end
for _, step in ipairs(cjson.decode(ARGV[2])) do redis.call(step[1], KEYS[step[2]], unpack(step, 3)) end
redis.call('hincrby', KEYS[1], 'revision', 1)
return 1
