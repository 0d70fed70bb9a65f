-- Replace the document at KEYS[1], {version, data}, if its version is ARGV[1]. ARGV[2]: the new one;
-- ARGV[3]: its data. Answers 1, or 0 if somebody else was faster.
if redis.call('TYPE', KEYS[1]).ok == 'hash' or ARGV[1] ~= '' then
  if (redis.call('HGET', KEYS[1], 'version') or '') ~= ARGV[1] then return 0 end
end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'data', ARGV[3])
return 1
