-- Takes steps that were planned on what `survey` told, unless the thread has changed since: then answers 0.
-- ARGV: the revision, then JSON: a list of [command, number of its key, arguments…].
if (redis.call('hget', KEYS[1], 'revision') or '') ~= ARGV[1] then return 0 end
for _, step in ipairs(cjson.decode(ARGV[2])) do redis.call(step[1], KEYS[step[2]], unpack(step, 3)) end
redis.call('hincrby', KEYS[1], 'revision', 1)
return 1
