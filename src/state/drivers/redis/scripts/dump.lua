-- All keys of a thread but its guard, as the server itself would save them, at one moment.
local dumps = {}
for at = 2, #KEYS do dumps[#dumps + 1] = redis.call('dump', KEYS[at]) or '' end
return dumps
