-- Gives a thread what `dump` told of another. ARGV: time to live in ms or '', then the dumps.
local ttl = ARGV[1] == '' and '0' or ARGV[1]
for at = 2, #KEYS do
  if ARGV[at] ~= '' then redis.call('restore', KEYS[at], ttl, ARGV[at], 'replace') end
end
redis.call('hincrby', KEYS[1], 'revision', 1)
if ARGV[1] ~= '' then redis.call('pexpire', KEYS[1], ARGV[1]) end
