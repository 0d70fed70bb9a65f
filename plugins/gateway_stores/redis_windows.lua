-- One subject's windows: `WindowAuthority` of windows/authority.py, which says why. KEYS[1]: the state of the subject.
-- ARGV[1], JSON: [holder, number (0: only to look), ttl, [[kind, limit, seconds], …], held, need, want, [use, …],
--   again];
-- ARGV[2], for tests: seconds since the epoch.
-- Answers JSON: [stale] or [0, acknowledged, holders, now, [[granted, others, seconds, [bucket, amount, …]], …]]
-- in the order of the kinds; seconds is 0 where there is no window.
--
-- The state is {windows, holders} as MessagePack: kind -> {seconds, {bucket, amount, …}} and
-- name -> {number, acknowledged, until, {kind -> amount}, waits since, waits until}. It expires when nothing in it
-- counts any longer.

local BUCKETS, LINGER, TURN, EXACT = 60, 60, 0.5, 2 ^ 53
local holder_name, number, ttl, spans, held, need, want, uses, again = unpack(cjson.decode(ARGV[1]))

local function clock()
  if ARGV[2] then return tonumber(ARGV[2]) end
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local now = clock()

local function exact(amount)
  return math.max(-EXACT, math.min(EXACT, amount))
end

local function floor_divided(time, width)
  -- As Python's //: a quotient that is rounded up to a whole number is not taken for one.
  local quotient = (time - math.fmod(time, width)) / width
  local floor = math.floor(quotient)
  return quotient - floor > 0.5 and floor + 1 or floor
end

local function push(list, place, amount)
  -- At the end of a window's list, which is {bucket, amount, …}, the oldest bucket first.
  if list[#list - 1] == place then
    list[#list] = exact(list[#list] + amount)
  else
    list[#list + 1] = place
    list[#list + 1] = amount
  end
end

local function load(text)
  local windows, holders = {}, {}
  if type(text) ~= 'string' then return windows, holders end
  local state = cmsgpack.unpack(text)
  for kind, window in pairs(state[1]) do
    local list, seconds, known = {}, window[1] + 0, window[2]
    local newest = math.floor(now / seconds * BUCKETS) + BUCKETS -- if the clock went back: count not for ever
    for i = 1, #known, 2 do
      if known[i] <= newest then
        list[i], list[i + 1] = known[i], known[i + 1] + 0
      else
        push(list, newest, known[i + 1])
      end
    end
    windows[kind] = {seconds = seconds, list = list}
  end
  for name, holder in pairs(state[2]) do
    local till = math.min(holder[3], now + LINGER)
    holders[name] = {
      number = holder[1] + 0, acknowledged = holder[2] + 0, till = till, held = {},
      waits_since = (holder[5] or math.huge) + 0, waits_until = (holder[6] or 0) + 0,
    }
    for kind, amount in pairs(holder[4]) do holders[name].held[kind] = amount + 0 end
  end
  return windows, holders
end

local function save(windows, holders)
  local state, longest = {{}, {}}, LINGER
  for kind, window in pairs(windows) do
    state[1][kind] = {window.seconds, window.list}
    longest = math.max(longest, window.seconds * (1 + 2 / BUCKETS))
  end
  for name, holder in pairs(holders) do
    local waits_since, waits_until = holder.waits_since, holder.waits_until
    state[2][name] = {holder.number, holder.acknowledged, holder.till, holder.held, waits_since, waits_until}
  end
  redis.call('SET', KEYS[1], cmsgpack.pack(state), 'PX', string.format('%.0f', (longest + ttl + 1) * 1000))
end

local function slide_window(window)
  local list, width, gone = window.list, window.seconds / BUCKETS, 0
  while list[gone + 1] and (list[gone + 1] + 1) * width + window.seconds <= now do gone = gone + 2 end
  if gone > 0 then window.list = {unpack(list, gone + 1)} end
end

local function slide(windows, holders)
  for name, holder in pairs(holders) do
    local longest = LINGER
    for kind in pairs(holder.held) do
      longest = math.max(longest, windows[kind] and windows[kind].seconds or 0)
    end
    if holder.till + longest <= now then holders[name] = nil end
  end
  for kind, window in pairs(windows) do
    slide_window(window)
    local needed = window.list[1]
    for _, holder in pairs(holders) do needed = needed or holder.held[kind] end
    if not needed then windows[kind] = nil end
  end
end

local function change(window, seconds)
  if seconds == window.seconds then return end
  local old, width = window.list, window.seconds / BUCKETS
  window.seconds, window.list = seconds, {}
  local newest = floor_divided(now, seconds / BUCKETS)
  for i = 1, #old, 2 do
    local moved = math.ceil((old[i] + 1) * width / (seconds / BUCKETS)) - 1
    push(window.list, math.min(moved, newest), old[i + 1])
  end
end

local function find(list, place)
  -- Where the bucket is, or the one before it; and whether it is there.
  local i = #list - 1
  while i > 0 and list[i] > place do i = i - 2 end
  return i, list[i] == place
end

local function count(window, time, amount)
  local place, list = floor_divided(time, window.seconds / BUCKETS), window.list
  local i, there = find(list, place)
  if amount > 0 and there then
    list[i + 1] = exact(list[i + 1] + amount)
  elseif amount > 0 then
    table.insert(list, i + 2, place)
    table.insert(list, i + 3, amount)
  end
  for p = place, place + 1 do -- taken back: what the first lacks, the next has
    i, there = find(list, p)
    local back = there and math.min(-amount, list[i + 1]) or 0
    if back > 0 then
      list[i + 1] = list[i + 1] - back
      amount = amount + back
    end
  end
end

local function used(window)
  local sum, list = 0, window and window.list or {}
  for i = 2, #list, 2 do sum = sum + list[i] end
  return sum
end

local function held_by_others(holders, kind, seconds)
  local sum = 0
  for name, holder in pairs(holders) do
    if name ~= holder_name and now < holder.till + seconds then sum = sum + (holder.held[kind] or 0) end
  end
  return exact(sum)
end

local function kept(holders)
  -- Slots for those whose turn it is before the asking holder's.
  local slots, asking = 0, holders[holder_name]
  for _, holder in pairs(holders) do
    local waits = holder.waits_since + TURN <= now and now < holder.waits_until
    if waits and holder.waits_since < asking.waits_since then slots = slots + 1 end
  end
  return slots
end

local function report(windows, holder)
  for _, use in ipairs(uses) do
    local use_number, kind, age, amount = unpack(use)
    if use_number > holder.acknowledged then
      holder.acknowledged = use_number
      if windows[kind] then count(windows[kind], now - math.max(age, 0), exact(amount)) end
    end
  end
  for _, window in pairs(windows) do slide_window(window) end
end

local function free_of(windows, holder, others)
  local free = {}
  for i, span in ipairs(spans) do
    local kind, limit = span[1], exact(span[2])
    free[kind] = limit - used(windows[kind]) - others[i] - (holder.held[kind] or 0)
  end
  return free
end

local function queue(holder, free)
  -- Who only reports may still have somebody who waits.
  if next(need) == nil then return end
  local lacks = false
  for _, span in ipairs(spans) do
    lacks = lacks or (span[3] == 0 and exact(need[span[1]] or 0) > free[span[1]])
  end
  if again > 0 and lacks then
    holder.waits_since, holder.waits_until = math.min(holder.waits_since, now), now + again
  else
    holder.waits_since, holder.waits_until = math.huge, 0
  end
end

local function grant(holder, free)
  local granted = {}
  for kind, amount in pairs(need) do
    if exact(amount) > (free[kind] or 0) then return granted end
  end
  for kind, room in pairs(free) do
    local needed = exact(need[kind] or 0)
    local all = needed + math.max(0, math.min(exact(want[kind] or 0), math.floor((room - needed) / 4)))
    if all > 0 then
      granted[kind] = all
      holder.held[kind] = (holder.held[kind] or 0) + all
    end
  end
  return granted
end

local function whole(amount)
  return string.format('%.0f', amount)
end

local function numbers(window)
  -- Lua itself writes numbers of up to 14 digits as they are.
  if used(window) < 1e14 then return table.concat(window.list, ',') end
  local list = {}
  for i, number in ipairs(window.list) do list[i] = whole(number) end
  return table.concat(list, ',')
end

local function answer(windows, holders, granted, others, acknowledged)
  local lately, kinds = 0, {}
  for _, holder in pairs(holders) do
    if now < holder.till + LINGER then lately = lately + 1 end
  end
  for i, span in ipairs(spans) do
    local window = windows[span[1]]
    kinds[i] = string.format('[%s,%s,%.17g,[%s]]', whole(granted[span[1]] or 0), whole(others[i]),
      window and window.seconds or 0, window and numbers(window) or '')
  end
  return string.format('[0,%s,%d,%.17g,[%s]]', whole(acknowledged), lately, now, table.concat(kinds, ','))
end

local function others_of(holders, slots)
  -- With so many slots that are kept for them.
  local others = {}
  for i, span in ipairs(spans) do
    others[i] = held_by_others(holders, span[1], span[3]) + (span[3] == 0 and slots or 0)
  end
  return others
end

local function bury(windows, holders, kind, seconds)
  -- What a holder held whose time is over counts as used.
  for name, holder in pairs(holders) do
    if name ~= holder_name and holder.till <= now then
      if now < holder.till + seconds then count(windows[kind], holder.till, holder.held[kind] or 0) end
      holder.held[kind] = nil
    end
  end
end

local function told(windows, holders, granted, acknowledged, slots)
  -- Nothing of what this changes is saved: who was only held up will tell what it used.
  for _, span in ipairs(spans) do
    if span[3] > 0 then bury(windows, holders, span[1], span[3]) end
  end
  return answer(windows, holders, granted, others_of(holders, slots), acknowledged)
end

local function look(windows, holders)
  -- Nothing of this is saved, either.
  for _, span in ipairs(spans) do
    local kind, seconds = span[1], span[3]
    if seconds > 0 then
      windows[kind] = windows[kind] or {seconds = seconds, list = {}}
      change(windows[kind], seconds)
      slide_window(windows[kind])
    end
  end
  return told(windows, holders, {}, 0, 0)
end

local function exchange(text)
  local windows, holders = load(text)
  slide(windows, holders)
  if number == 0 then return look(windows, holders) end
  local holder = holders[holder_name]
    or {number = 0, acknowledged = 0, till = 0, held = {}, waits_since = math.huge, waits_until = 0}
  if number <= holder.number then return '[1]' end
  holders[holder_name] = holder
  for _, span in ipairs(spans) do
    local kind, seconds = span[1], span[3]
    if seconds > 0 then
      windows[kind] = windows[kind] or {seconds = seconds, list = {}}
      change(windows[kind], seconds)
    end
  end
  holder.number = number
  report(windows, holder)
  holder.held, holder.till = {}, now + ttl
  for kind, amount in pairs(held) do
    if amount > 0 then holder.held[kind] = exact(amount) end
  end
  local slots = kept(holders)
  local free = free_of(windows, holder, others_of(holders, slots))
  queue(holder, free)
  return nil, windows, holders, grant(holder, free), holder.acknowledged, slots
end

local found, reply, windows, holders, granted, acknowledged, slots = pcall(exchange, redis.pcall('GET', KEYS[1]))
if not found then -- what was there is not ours: overwrite it
  reply, windows, holders, granted, acknowledged, slots = exchange(nil)
end
if windows then
  save(windows, holders)
  reply = told(windows, holders, granted, acknowledged, slots)
end
return reply
