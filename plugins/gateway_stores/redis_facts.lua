-- Facts that processes share. KEYS[1]: what all keys begin with; ARGV[1]: the number of the last fact heard;
-- ARGV[2]: who asks; ARGV[3...]: name, value and seconds of each new fact, by turns.
-- Answers the number of the newest fact, then name, value and seconds left of each one by others since.
--
--   :facts    hash  name -> value, expiry and holder as MessagePack
--   :numbers  zset  name by number. Numbers grow, even if all is lost: they are times, made unique.

local facts, numbers = KEYS[1] .. ':facts', KEYS[1] .. ':numbers'
local heard, holder = tonumber(ARGV[1]), ARGV[2]
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6

local function own(name, kind)
  -- What somebody else put in our place is not ours to keep.
  local found = redis.call('TYPE', name).ok
  if found ~= kind and found ~= 'none' then redis.call('UNLINK', name) end
end

local function fact(name)
  local packed = redis.call('HGET', facts, name)
  local readable, value, expiry, by = pcall(cmsgpack.unpack, packed)
  if not readable or type(value) ~= 'string' or type(expiry) ~= 'number' then return nil end
  return value, expiry, by
end

local function newest()
  return tonumber(redis.call('ZRANGE', numbers, -1, -1, 'WITHSCORES')[2] or 0)
end

if #ARGV > 2 then
  own(facts, 'hash')
  own(numbers, 'zset')
  -- A hundred are looked at, from a place that is another each time: some hold for long, and none is in the way.
  local first = math.floor(now * 1e6) % math.max(redis.call('ZCARD', numbers) - 99, 1)
  for _, name in ipairs(redis.call('ZRANGE', numbers, first, first + 99)) do
    local value, expiry = fact(name)
    if not value or expiry <= now then
      redis.call('ZREM', numbers, name)
      redis.call('HDEL', facts, name)
    end
  end
  local longest = 0
  for i = 3, #ARGV, 3 do
    local number = math.max(newest() + 1, math.floor(now * 1e6))
    local seconds = tonumber(ARGV[i + 2])
    longest = math.max(longest, seconds)
    redis.call('HSET', facts, ARGV[i], cmsgpack.pack(ARGV[i + 1], now + seconds, holder))
    redis.call('ZADD', numbers, string.format('%.0f', number), ARGV[i])
  end
  for _, key in ipairs({facts, numbers}) do
    local left = math.max(redis.call('PTTL', key), math.ceil(longest * 1000) + 1000)
    redis.call('PEXPIRE', key, string.format('%.0f', left))
  end
end

local listed = redis.pcall('ZRANGEBYSCORE', numbers, '(' .. ARGV[1], '+inf', 'WITHSCORES')
if listed.err or #listed == 0 then return {ARGV[1]} end
local found = {listed[#listed]}
for i = 1, #listed, 2 do
  local value, expiry, by = fact(listed[i])
  if value and expiry > now and by ~= holder then
    found[#found + 1] = listed[i]
    found[#found + 1] = value
    found[#found + 1] = string.format('%.3f', expiry - now)
  end
end
return found
