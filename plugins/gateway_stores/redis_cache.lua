-- Cached answers. KEYS[1]: what all keys begin with; ARGV: what to do, the seconds since the epoch for tests
-- ('' for the server's time), what it is about.
--
--   :answer:KEY  string  expiry in seconds, a space, the answer
--   :expiries    zset    key by expiry
--   :ages        zset    key by the moment it was put, microseconds, made unique
--   :sizes       hash    key -> bytes
--   :bytes       string  the sum of the sizes

local base, action, now = KEYS[1], ARGV[1], tonumber(ARGV[2])
local expiries, ages, sizes, bytes = base .. ':expiries', base .. ':ages', base .. ':sizes', base .. ':bytes'

if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function drop(key)
  local size = redis.call('HGET', sizes, key)
  if size then redis.call('DECRBY', bytes, size) end
  redis.call('HDEL', sizes, key)
  redis.call('ZREM', expiries, key)
  redis.call('ZREM', ages, key)
  redis.call('UNLINK', base .. ':answer:' .. key)
end

local function begin_anew()
  -- What is listed here is not ours: no answer that was kept is found again.
  redis.call('UNLINK', expiries, ages, sizes, bytes)
end

local function get(key)
  local kept = redis.pcall('GET', base .. ':answer:' .. key)
  if type(kept) ~= 'string' then return false end
  local expiry, at = string.match(kept, '^(%d+%.%d+) ()')
  return expiry and tonumber(expiry) > now and string.sub(kept, at)
end

local function put(key, answer, seconds, entries, size)
  drop(key)
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', expiries, '-inf', now, 'LIMIT', 0, 100)) do drop(old) end
  local expiry = string.format('%.6f', now + seconds)
  redis.call('SET', base .. ':answer:' .. key, expiry .. ' ' .. answer, 'PX', math.ceil(seconds * 1000))
  redis.call('ZADD', expiries, expiry, key)
  local newest = tonumber(redis.call('ZRANGE', ages, -1, -1, 'WITHSCORES')[2] or 0)
  redis.call('ZADD', ages, string.format('%.0f', math.max(newest + 1, now * 1e6)), key)
  redis.call('HSET', sizes, key, #answer)
  redis.call('INCRBY', bytes, #answer)
  for _ = 1, 100 do
    if redis.call('ZCARD', ages) <= entries and tonumber(redis.call('GET', bytes)) <= size then break end
    local oldest = redis.call('ZRANGE', ages, 0, 0)[1]
    if not oldest then break end
    drop(oldest)
  end
end

if action == 'get' then return get(ARGV[3]) end
local key, answer, seconds, entries, size = unpack(ARGV, 3)
seconds, entries, size = tonumber(seconds), tonumber(entries), tonumber(size)
-- Whether there is memory is asked of a script's first write alone, and only of one that takes some.
redis.call('SET', base .. ':answer:' .. key, '', 'PX', math.ceil(seconds * 1000))
if not pcall(put, key, answer, seconds, entries, size) then
  begin_anew()
  put(key, answer, seconds, entries, size)
end
