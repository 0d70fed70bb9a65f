-- Usage records and their sums. KEYS[1]: what all keys begin with; ARGV[1]: what to do.
--
--   :records   hash    id -> record, JSON
--   :times     zset    id by time of admission, microseconds
--   :requests  hash    request id -> newest id
--   :groups    hash    [client, provider, key, model] -> number
--   :days      zset    days that have sums, by their beginning
--   :pruned    string  records from before this moment may be gone, microseconds
--   :86400:T, :3600:T, :60:T   hash "GROUP:FIGURE" -> sum over the day, hour, minute that begins at T
--
-- Figures are numbered as in Python: the fields of SUMS, then the classes of latencies.

local base = KEYS[1]
local EXACT = 2 ^ 53
local LARGEST = '9223372036854775807' -- as no number of Lua's is
local LEVELS = {86400, 3600, 60}
local act = {}

local function key(...)
  return table.concat({base, ...}, ':')
end

local function whole(number)
  return string.format('%.0f', number)
end

local function own(name, kind)
  -- What somebody else put in our place is not ours to keep.
  local found = redis.call('TYPE', name).ok
  if found ~= kind and found ~= 'none' then redis.call('UNLINK', name) end
  return name
end

local function amount(value)
  if type(value) ~= 'number' then return 0 end
  return math.max(-EXACT, math.min(EXACT, value))
end

local function rounded(value)
  -- Halves to even, as Python does.
  local floor = math.floor(value)
  local rest = value - floor
  if rest > 0.5 or (rest == 0.5 and floor % 2 == 1) then floor = floor + 1 end
  return amount(floor)
end

local function text(value)
  return type(value) == 'string' and value or ''
end

local function figures(record, bounds)
  local cost, used = record.cost_nano_usd, record.input_tokens > 0 or record.output_tokens > 0
  local priced, first = type(cost) == 'number', type(record.first_token_ms) == 'number'
  local sums = {
    1,
    (type(record.error) == 'string' or record.status >= 400) and 1 or 0,
    amount(record.input_tokens),
    amount(record.cached_tokens),
    amount(record.output_tokens),
    amount(record.reasoning_tokens),
    amount(cost),
    (used and not priced) and 1 or 0,
    rounded(record.total_ms * 1000),
    first and rounded(record.first_token_ms * 1000) or 0,
    first and 1 or 0,
  }
  local class = 1
  while bounds[class] and bounds[class] < record.total_ms do class = class + 1 end
  sums[#sums + class] = 1
  return sums
end

local function group(record)
  local name = cjson.encode({text(record.client), text(record.provider), text(record.key), text(record.model)})
  local number = redis.call('HGET', key('groups'), name)
  if not number then
    number = redis.call('HLEN', key('groups'))
    redis.call('HSET', key('groups'), name, number)
  end
  return number
end

local function increase(name, field, sum)
  -- A counter that would overflow stays at its largest; one that is no number begins anew.
  local reply = redis.pcall('HINCRBY', name, field, whole(sum))
  if type(reply) == 'table' then
    redis.call('HSET', name, field, string.find(reply.err, 'overflow') and LARGEST or whole(sum))
  end
end

local function add(sums, name, field, value)
  -- Summed here as long as that is exact, so that a batch costs one command for each field.
  local fields = sums[name] or {}
  sums[name] = fields
  local sum = (fields[field] or 0) + value
  if math.abs(sum) > EXACT then
    increase(name, field, fields[field])
    sum = value
  end
  fields[field] = sum
end

local function count(sums, record, values)
  local number = group(record)
  for _, level in ipairs(LEVELS) do
    local name = key(level, whole(math.floor(record.time / level) * level))
    if not sums[name] then own(name, 'hash') end
    for figure, value in pairs(values) do
      if value ~= 0 then add(sums, name, number .. ':' .. figure - 1, value) end
    end
  end
  local day = whole(math.floor(record.time / 86400) * 86400)
  redis.call('ZADD', key('days'), day, day)
end

-- bounds, record...: keep each that is new, and count it; but not one from before what was pruned, which may have
-- been counted before it was. How many were looked at, and the places of those, from 0.
function act.append(arguments)
  local bounds, decoded, values, sums = cjson.decode(arguments[1]), {}, {}, {}
  for i = 2, #arguments do -- whatever can fail does so before anything is written
    decoded[i] = cjson.decode(arguments[i])
    values[i] = figures(decoded[i], bounds)
  end
  for name, kind in pairs({records = 'hash', requests = 'hash', times = 'zset', groups = 'hash', days = 'zset'}) do
    own(key(name), kind)
  end
  local pruned, old = tonumber(redis.call('GET', own(key('pruned'), 'string')) or 0), {}
  for i = 2, #arguments do
    local id, request, moment = decoded[i].id, decoded[i].request_id, math.floor(decoded[i].time * 1e6)
    if moment < pruned then
      if redis.call('HEXISTS', key('records'), id) == 0 then old[#old + 1] = i - 2 end
    elseif redis.call('HSETNX', key('records'), id, arguments[i]) == 1 then
      redis.call('ZADD', key('times'), whole(moment), id)
      local newest = redis.call('HGET', key('requests'), request)
      if not newest or newest < id then redis.call('HSET', key('requests'), request, id) end
      count(sums, decoded[i], values[i])
    end
  end
  for name, fields in pairs(sums) do
    for field, sum in pairs(fields) do increase(name, field, sum) end
  end
  return {#arguments - 1, old}
end

local function rank(id)
  -- How many records come before id, whether or not it is there.
  local low, high = 0, redis.call('ZCARD', key('times'))
  while low < high do
    local middle = math.floor((low + high) / 2)
    if redis.call('ZRANGE', key('times'), middle, middle)[1] < id then low = middle + 1 else high = middle end
  end
  return low
end

-- before, first, last (microseconds), how many to look at, what a match contains...:
-- the id to go on before ('' at the end), then the records, newest first.
function act.find(arguments)
  local before, first, last, size = unpack(arguments, 1, 4)
  local high = redis.call('ZCOUNT', key('times'), '-inf', last)
  if before ~= '' then high = math.min(high, rank(before)) end
  local low = math.max(redis.call('ZCOUNT', key('times'), '-inf', '(' .. first), high - size)
  if high <= low then return {''} end
  local ids = redis.call('ZRANGE', key('times'), low, high - 1)
  local found = {high - low < tonumber(size) and '' or ids[1]}
  local records = redis.call('HMGET', key('records'), unpack(ids))
  for i = #ids, 1, -1 do
    local matches = records[i]
    for j = 5, #arguments do matches = matches and string.find(records[i], arguments[j], 1, true) end
    if matches then found[#found + 1] = records[i] end
  end
  return found
end

-- id: the record of this id, or else the newest of this request id.
function act.one(arguments)
  local record = redis.call('HGET', key('records'), arguments[1])
  if record then return record end
  local id = redis.call('HGET', key('requests'), arguments[1])
  return id and redis.call('HGET', key('records'), id)
end

-- level, first, end: the sums of each bucket that begins in [first, end), as {beginning, {field, sum, …}}.
function act.sums(arguments)
  local level, first, last = unpack(arguments)
  local found, beginnings = {}, {}
  if tonumber(level) == 86400 then
    beginnings = redis.call('ZRANGEBYSCORE', key('days'), first, '(' .. last)
  else
    for beginning = tonumber(first), tonumber(last) - 1, tonumber(level) do
      beginnings[#beginnings + 1] = whole(beginning)
    end
  end
  for _, beginning in ipairs(beginnings) do
    local fields = redis.call('HGETALL', key(level, beginning))
    if #fields > 0 then found[#found + 1] = {beginning, fields} end
  end
  return found
end

-- From when on no record was pruned; the days that have sums; name and number of every group, by turns.
function act.range()
  local days = redis.call('ZRANGE', key('days'), 0, -1)
  return {redis.call('GET', key('pruned')) or '0', days, redis.call('HGETALL', key('groups'))}
end

-- moment (microseconds), moment (seconds), how many records: 1 if there are more.
function act.prune(arguments)
  local moment, sums, size = unpack(arguments)
  local ids = redis.call('ZRANGEBYSCORE', key('times'), '-inf', '(' .. moment, 'LIMIT', 0, size)
  local newest = #ids > 0 and tonumber(redis.call('ZSCORE', key('times'), ids[#ids]))
  for _, id in ipairs(ids) do
    local record = redis.call('HGET', key('records'), id)
    local request = record and cjson.decode(record).request_id
    if request and redis.call('HGET', key('requests'), request) == id then
      redis.call('HDEL', key('requests'), request)
    end
    redis.call('HDEL', key('records'), id)
    redis.call('ZREM', key('times'), id)
  end
  own(key('pruned'), 'string')
  if newest and newest >= tonumber(redis.call('GET', key('pruned')) or 0) then
    redis.call('SET', key('pruned'), whole(newest + 1))
  end
  local today = math.floor(tonumber(sums) / 86400) * 86400
  local days = redis.call('ZRANGEBYSCORE', key('days'), '-inf', '(' .. whole(today), 'LIMIT', 0, 2)
  for _, day in ipairs(days) do
    for _, level in ipairs(LEVELS) do
      for beginning = day, day + 86399, level do redis.call('UNLINK', key(level, whole(beginning))) end
    end
    redis.call('ZREM', key('days'), day)
  end
  return (#ids == tonumber(size) or #days == 2) and 1 or 0
end

local arguments = {}
for i = 2, #ARGV do arguments[i - 1] = ARGV[i] end
return act[ARGV[1]](arguments)
