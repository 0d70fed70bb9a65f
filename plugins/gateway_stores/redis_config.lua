-- A document at KEYS[1], {version, data}. ARGV[1]: what to do.
if ARGV[1] == 'read' then return redis.call('HMGET', KEYS[1], 'version', 'data') end
local version = redis.call('HGET', KEYS[1], 'version')
if ARGV[1] == 'version' then return version end
-- 'write', expected version, new version, data: 1, or 0 if somebody else was faster
if (version or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[3], 'data', ARGV[4])
return 1
