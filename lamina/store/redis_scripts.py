r"""The server-side steps of the online store on Redis: each is atomic, and checks its conditions where the data is.

What goes in, what comes back and what is stored, as `redis-cli` would show it with the scripts below for their names.
A tile of three events is written, one with fewer is refused, one without a payload removes the field; a blob never
replaces one of a later batch end; offsets are committed only by the writer whose last number stands:

    redis> EVAL WRITE_TILES 1 user:7 259200 345600 1 payments@1m#ab12cd/43200000 "3\x1f12.5"
    1
    redis> EVAL WRITE_TILES 1 user:7 259200 345600 1 payments@1m#ab12cd/43200000 "2\x1f12.0"
    0
    redis> HGETALL user:7
    payments@1m#ab12cd/43200000 "3\x1f12.5"
    redis> EVAL WRITE_TILES 1 user:7 259200 345600 1 payments@1m#ab12cd/43200000 ""
    1
    redis> EVAL PUBLISH 1 user_batch:7 1209600 0 payments@1m#ab12cd LMT31533686400000..
    1
    redis> EVAL PUBLISH 1 user_batch:7 1209600 0 payments@1m#ab12cd LMT31533600000000..
    0
    redis> EVAL BEGIN 2 sequence offsets 86400
    (empty)
    redis> EVAL NEXT_WRITE 1 sequence 1 86400
    1
    redis> EVAL NEXT_WRITE 1 sequence 3 86400
    0
    redis> EVAL COMMIT_OFFSETS 2 sequence offsets 1 86400 0 4711
    1
    redis> HGETALL offsets
    0 4711

A key with many tiles is *folded*: its tiles lie in hashes of their own, one a minute, and what the tiles of a minute,
and those of an hour, add up to lies beside them where somebody has computed it (`lamina.store.folded`). The tree:

- `<entity>:<id>`, field `~<tile_spec>/<hour>`: the sum of the hour, or a text without a digit first: see below
- `<entity>_hour:<id>`, a tab, `<tile_spec>/<hour>`; field `<minute>`: the same of each minute
- `<entity>_minute:<id>`, a tab, `<tile_spec>/<minute>`: the tiles, fields as in the hash of the entity

A write removes the sums above it in the same step, so a sum that is there is right. Field `~` of the entity's hash says
that it is folded, which it stays until all its hours are in the batch layer or it expires.
"""

from __future__ import annotations

MOST_FIELDS = 200
"""A hash with more fields is folded; one of 200 tiles is read and decoded in about 3 ms."""

LARGEST = 5000
"""A hash that had more fields before this version is left as it is: to fold it would hold Redis up for seconds."""

_TREE = f"""
local HOUR, MINUTE, MOST = 3600000, 60000, {MOST_FIELDS}
local LARGEST = {LARGEST}
local function node(level, key, tile_spec, start)
  local colon = string.find(key, ':', 1, true)
  local kind, rest = string.sub(key, 1, colon - 1), string.sub(key, colon)
  return string.format('%s_%s%s\\t%s/%.0f', kind, level, rest, tile_spec, start)
end
local function whole(value) return value and string.find(value, '^%d') end
local function count(payload) return tonumber(string.match(payload, '^%d+')) end
local function parsed(field)
  local tile_spec, start = string.match(field, '^([^/~][^/]*)/(%d+)')
  return tile_spec, tonumber(start)
end
"""

# KEYS: entities. ARGV: time to live in seconds, that of the tree, then for each entity the number of its tiles, and
# each one's field and payload. A payload starts with its event count; an empty one removes the field. Returns how many
# were applied; where some minutes have to be added up, a list of that and the places of their entities.
WRITE_TILES = (
    _TREE
    + """
local function put(key, tile_spec, start, field, payload)
  local hour, minute = start - start % HOUR, start - start % MINUTE
  local leaf, branch = node('minute', key, tile_spec, minute), node('hour', key, tile_spec, hour)
  local old, own = redis.call('HGET', leaf, field), string.format('~%s/%.0f', tile_spec, hour)
  -- The hash of the entity may be gone, and what lies below it not.
  local lost = old and redis.call('HSETNX', key, own, '') == 1
  if payload == '' then
    if not old then return 0, false end
    redis.call('HDEL', leaf, field)
  else
    if old and count(old) > count(payload) then return 0, lost end
    if old ~= payload then redis.call('HSET', leaf, field, payload) end
  end
  redis.call('EXPIRE', leaf, ARGV[2])
  redis.call('EXPIRE', branch, ARGV[2])
  if old == payload then return 1, lost end
  local name, dirty = string.format('%.0f', minute), lost
  if redis.call('HGET', branch, name) ~= '' then
    redis.call('HSET', branch, name, '')
    redis.call('EXPIRE', branch, ARGV[2])
    dirty = true
  end
  redis.call('HSET', key, own, '')
  return 1, dirty
end
local function fold(key)
  redis.call('HSET', key, '~', '') -- first: whatever ends this, the reader finds all
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local tile_spec, start = parsed(all[i])
    if tile_spec then
      put(key, tile_spec, start, all[i], all[i + 1])
      redis.call('HDEL', key, all[i])
    end
  end
end
local applied, at, busy = 0, 3, {}
for place, key in ipairs(KEYS) do
  local last, more, dirty = at + 2 * tonumber(ARGV[at]), 0, false
  for i = at + 1, last, 2 do
    local found = redis.call('HMGET', key, ARGV[i], '~')
    local old, folded = found[1], found[2]
    if folded then
      local tile_spec, start = parsed(ARGV[i])
      if tile_spec then
        if old then
          put(key, tile_spec, start, ARGV[i], old) -- written by a version that does not fold
          redis.call('HDEL', key, ARGV[i])
        end
        local done, fresh = put(key, tile_spec, start, ARGV[i], ARGV[i + 1])
        applied, dirty = applied + done, dirty or fresh
      end
    elseif ARGV[i + 1] == '' then
      applied = applied + redis.call('HDEL', key, ARGV[i])
    elseif not old or count(old) <= count(ARGV[i + 1]) then
      redis.call('HSET', key, ARGV[i], ARGV[i + 1])
      applied = applied + 1
      if not old then more = more + 1 end
    end
  end
  local fields = more > 0 and redis.call('HLEN', key) or 0
  if fields > MOST and fields - more <= LARGEST then
    fold(key)
    dirty = true
  end
  if dirty then table.insert(busy, place) end
  redis.call('EXPIRE', key, ARGV[1])
  at = last + 1
end
if #busy == 0 then return applied end
table.insert(busy, 1, applied)
return busy
"""
)

# KEYS: an entity. ARGV: for each tile spec its id, the time before which its tiles are of no use, the longest that may
# be taken as one tile, the number of cuts, and the cuts; without any: every tile. Returns field and payload in turn,
# those of sums named like tiles: no tile lies on both sides of a cut, and each event is in one of them.
READ_FOLDED = (
    _TREE
    + """
local tile_specs, at = {}, 1
while at <= #ARGV do
  local own = {from = tonumber(ARGV[at + 1]), longest = tonumber(ARGV[at + 2]), cuts = {}}
  for i = 1, tonumber(ARGV[at + 3]) do own.cuts[i] = tonumber(ARGV[at + 3 + i]) end
  tile_specs[ARGV[at]] = own
  at = at + 4 + #own.cuts
end
local everything = #ARGV == 0 and {from = 0, longest = 0, cuts = {}}
local direct, around = {}, {}
local function as_one(own, tile_spec, start, length, value)
  if own.longest < length or not whole(value) or around[tile_spec .. '/' .. start] then return false end
  for _, cut in ipairs(own.cuts) do if start < cut and cut < start + length then return false end end
  return true
end
local found = {}
local function add(name, payload) table.insert(found, name) table.insert(found, payload) end
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local tile_spec, start = parsed(all[i])
  if tile_spec then -- written by a version that does not fold
    direct[all[i]] = all[i + 1]
    around[tile_spec .. '/' .. start - start % HOUR], around[tile_spec .. '/' .. start - start % MINUTE] = true, true
  end
end
for i = 1, #all, 2 do
  local tile_spec, hour = string.match(all[i], '^~(.+)/(%d+)$')
  local own, begin = tile_spec and (tile_specs[tile_spec] or everything), tonumber(hour)
  if own and begin + HOUR > own.from then
    if as_one(own, tile_spec, begin, HOUR, all[i + 1]) then
      add(tile_spec .. '/' .. hour, all[i + 1])
    else
      local minutes = redis.call('HGETALL', node('hour', KEYS[1], tile_spec, begin))
      for k = 1, #minutes, 2 do
        local minute = tonumber(minutes[k])
        if as_one(own, tile_spec, minute, MINUTE, minutes[k + 1]) then
          add(tile_spec .. '/' .. minutes[k], minutes[k + 1])
        else
          local parts = redis.call('HGETALL', node('minute', KEYS[1], tile_spec, minute))
          for p = 1, #parts, 2 do
            local other = direct[parts[p]]
            if not other or count(other) < count(parts[p + 1]) then
              add(parts[p], parts[p + 1])
              direct[parts[p]] = nil
            end
          end
        end
      end
    end
  end
end
for name, payload in pairs(direct) do add(name, payload) end
return found
"""
)

# KEYS: a hash with a sum to compute, the hash with what it is the sum of. ARGV: field of the sum, a mark of who
# computes it, not beginning with a digit. Whatever is written below removes the mark.
CLAIM = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return {} end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return redis.call('HGETALL', KEYS[2])
"""

# KEYS: a hash with a sum to write. ARGV: its field, the mark of who computed it, the sum; empty where nothing is left.
FOLD = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[3] == '' then return redis.call('HDEL', KEYS[1], ARGV[1]) end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""

# KEYS: an entity. ARGV: the time before which tiles go, then tile specs. Folded hours go when all of them may.
TRIM = (
    _TREE
    + """
local wanted, left, folded = {}, 0, redis.call('HEXISTS', KEYS[1], '~') == 1
for i = 2, #ARGV do wanted[ARGV[i]] = true end
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  local tile_spec, start = string.match(name, '^~?([^/]+)/(%d+)')
  local before = start and tonumber(start) < tonumber(ARGV[1])
  if string.sub(name, 1, 1) ~= '~' then
    if before and wanted[tile_spec] then redis.call('HDEL', KEYS[1], name) end
  elseif start then
    if before and wanted[tile_spec] and start + HOUR <= tonumber(ARGV[1]) then
      local branch = node('hour', KEYS[1], tile_spec, tonumber(start))
      for _, minute in ipairs(redis.call('HKEYS', branch)) do
        redis.call('UNLINK', node('minute', KEYS[1], tile_spec, tonumber(minute)))
      end
      redis.call('UNLINK', branch)
      redis.call('HDEL', KEYS[1], name)
    else
      left = left + 1
    end
  end
end
if folded and left == 0 then redis.call('HDEL', KEYS[1], '~') end
return 1
"""
)

# KEYS: a writer's sequence number. ARGV: its number, time to live in seconds. Refused when the write before is not
# known.
NEXT_WRITE = """
local number = tonumber(ARGV[1])
if tonumber(redis.call('GET', KEYS[1]) or '-1') < number - 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""

# KEYS: a writer's sequence number, a log's offsets. ARGV: the last number, time to live in seconds, then partition and
# offset in turn.
COMMIT_OFFSETS = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('EXPIRE', KEYS[1], ARGV[2])
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
return 1
"""

# KEYS: a writer's sequence number, a log's offsets. ARGV: time to live in seconds. One step: the offsets are older than
# the number.
BEGIN = """
redis.call('SET', KEYS[1], '0', 'EX', ARGV[1])
return redis.call('HGETALL', KEYS[2])
"""

# KEYS: a log's offsets. ARGV: the field of the topic's id, an id, '1' to forget the offsets of another. The id lies
# beside the offsets, so that both are lost or restored together.
IDENTIFY = """
local old = redis.call('HGET', KEYS[1], ARGV[1])
if old and (old == ARGV[2] or ARGV[3] ~= '1') then return old end
if old then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return ARGV[2]
"""

# ARGV: time to live in seconds, '1' to replace later ones, too, then tile spec and blob in turn. Characters 5 to 17 of
# a blob are its `through`.
PUBLISH = """
local applied = 0
for i = 3, #ARGV, 2 do
  local old = redis.call('HGET', KEYS[1], ARGV[i])
  if not old or ARGV[2] == '1' or string.sub(old, 5, 17) <= string.sub(ARGV[i + 1], 5, 17) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    applied = applied + 1
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return applied
"""

# KEYS: batch hashes. ARGV: a time, then tile specs. Blobs that are complete later than it go.
TAKE_BACK = """
local removed = 0
for _, key in ipairs(KEYS) do
  for i = 2, #ARGV do
    local blob = redis.call('HGET', key, ARGV[i])
    if blob and tonumber(string.sub(blob, 5, 17)) > tonumber(ARGV[1]) then
      removed = removed + redis.call('HDEL', key, ARGV[i])
    end
  end
end
return removed
"""

# ARGV: a name, the time that it goes back to.
MOVE_BACK = """
local old = redis.call('HGET', KEYS[1], ARGV[1])
if old and tonumber(old) > tonumber(ARGV[2]) then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return 1
"""

ADVANCE = """
local old = redis.call('HGET', KEYS[1], ARGV[1])
if not old or tonumber(old) < tonumber(ARGV[2]) then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return 1
"""
