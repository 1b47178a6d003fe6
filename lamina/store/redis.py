"""The online store on Redis: hash `<entity>:<id>` for speed tiles, hash `<entity>_batch:<id>` for batch blobs.

Conditions are checked where the data is, in one atomic server-side step: there is no read before a write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar, cast

import hiredis
import redis
from redis.connection import Connection
from redis.exceptions import OutOfMemoryError, RedisError

from lamina.errors import StoreUnavailable, WritesLost
from lamina.store.protocol import (
    MOST_BLOBS,
    SPEED_TTL_S,
    BatchWrite,
    EntityReply,
    Mark,
    ReadKey,
    Snapshot,
    TileWrite,
    batch_key,
    speed_key,
)

THROUGH_KEY = "lamina:through"
MARK_TTL_S = 86_400
BATCH_TTL_S = 104 * 86_400  # the longest window, 97 days with its label delay, and a week
ENTITIES_PER_CALL = 50  # a call is atomic: for so long, well under a millisecond, readers wait
T = TypeVar("T")

# KEYS: entities. ARGV: time to live in seconds, then for each entity the number of its tiles, and each one's field and
# payload. A payload starts with its event count; an empty one removes the field.
WRITE_TILES = """
local applied, at = 0, 2
for _, key in ipairs(KEYS) do
  local last = at + 2 * tonumber(ARGV[at])
  for i = at + 1, last, 2 do
    if ARGV[i + 1] == '' then
      applied = applied + redis.call('HDEL', key, ARGV[i])
    else
      local old = redis.call('HGET', key, ARGV[i])
      if not old or tonumber(string.match(old, '^%d+')) <= tonumber(string.match(ARGV[i + 1], '^%d+')) then
        redis.call('HSET', key, ARGV[i], ARGV[i + 1])
        applied = applied + 1
      end
    end
  end
  redis.call('EXPIRE', key, ARGV[1])
  at = last + 1
end
return applied
"""

# KEYS: a writer's mark. ARGV: its number, time to live in seconds. Refused when the write before is not known.
MARK = """
local number = tonumber(ARGV[1])
if tonumber(redis.call('GET', KEYS[1]) or '-1') < number - 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""

# KEYS: a writer's mark, a log's offsets. ARGV: the last number, time to live in seconds, then partition and offset in
# turn.
SETTLE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('EXPIRE', KEYS[1], ARGV[2])
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
return 1
"""

# KEYS: a writer's mark, a log's offsets. ARGV: time to live in seconds. One step: the offsets are older than the mark.
BEGIN = """
redis.call('SET', KEYS[1], '0', 'EX', ARGV[1])
return redis.call('HGETALL', KEYS[2])
"""

# ARGV: time to live in seconds, then tiling and blob in turn. Characters 5 to 17 of a blob are its `through`.
PUBLISH = """
local applied = 0
for i = 2, #ARGV, 2 do
  local old = redis.call('HGET', KEYS[1], ARGV[i])
  if not old or string.sub(old, 5, 17) <= string.sub(ARGV[i + 1], 5, 17) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    applied = applied + 1
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return applied
"""

# ARGV: the time before which tiles go, then tilings.
TRIM = """
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  local slash = string.find(name, '/', 1, true)
  if slash and tonumber(string.match(name, '^%d+', slash + 1)) < tonumber(ARGV[1]) then
    for i = 2, #ARGV do
      if string.sub(name, 1, slash - 1) == ARGV[i] then redis.call('HDEL', KEYS[1], name) end
    end
  end
end
return 1
"""

ANNOUNCE = """
local old = redis.call('HGET', KEYS[1], ARGV[1])
if not old or tonumber(old) < tonumber(ARGV[2]) then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return 1
"""


class RedisStore:
    """Implements `OnlineStore`. The constructor opens no connection."""

    def __init__(self, url: str, *, timeout_ms: int = 5000) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=timeout_ms / 1000, socket_connect_timeout=timeout_ms / 1000
        )
        self._write_tiles = self._redis.register_script(WRITE_TILES)
        self._publish = self._redis.register_script(PUBLISH)
        self._trim = self._redis.register_script(TRIM)
        self._announce = self._redis.register_script(ANNOUNCE)
        self._mark = self._redis.register_script(MARK)
        self._settle = self._redis.register_script(SETTLE)
        self._begin = self._redis.register_script(BEGIN)

    def write_tiles(self, tiles: Sequence[TileWrite], mark: Mark | None = None) -> int:
        """See `OnlineStore.write_tiles`."""
        by_key: dict[str, list[bytes | str]] = {}
        for tile in tiles:
            by_key.setdefault(tile.key, []).extend((tile.field, tile.payload))
        entities = list(by_key.items())
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                for chunk in _chunks(entities, ENTITIES_PER_CALL):
                    args = [x for _, pairs in chunk for x in (len(pairs) // 2, *pairs)]
                    self._write_tiles(keys=[key for key, _ in chunk], args=[SPEED_TTL_S, *args], client=pipe)
                if mark is not None:
                    # Last, on the same connection: the server has it only if it has all tiles before it.
                    self._mark(keys=[mark_key(mark.writer)], args=[mark.number, MARK_TTL_S], client=pipe)
                applied: list[int] = pipe.execute()
        except RedisError as error:
            raise unavailable(error) from error
        if mark is not None and not applied.pop():
            raise lost(mark)
        return sum(applied)

    def begin(self, log: str, writer: str) -> Mapping[int, int]:
        """See `OnlineStore.begin`."""
        try:
            flat = cast("list[bytes]", self._begin(keys=[mark_key(writer), _log_key(log)], args=[MARK_TTL_S]))
        except RedisError as error:
            raise unavailable(error) from error
        return {int(p): int(offset) for p, offset in zip(flat[::2], flat[1::2], strict=True)}

    def settle(self, log: str, mark: Mark, offsets: Mapping[int, int]) -> None:
        """See `OnlineStore.settle`."""
        flat = [x for item in offsets.items() for x in item]
        try:
            known = self._settle(keys=[mark_key(mark.writer), _log_key(log)], args=[mark.number, MARK_TTL_S, *flat])
        except RedisError as error:
            raise unavailable(error) from error
        if not known:
            raise lost(mark)

    def publish(self, writes: Sequence[BatchWrite], mark: Mark | None = None) -> int:
        """See `OnlineStore.publish`."""
        assert mark is None or len(writes) <= MOST_BLOBS, "a mark vouches for one pipeline"
        applied = 0
        try:
            for chunk in _chunks(writes):
                with self._redis.pipeline(transaction=False) as pipe:
                    for write in chunk:
                        flat = [x for item in write.blobs.items() for x in item]
                        self._publish(keys=[batch_key(write.key)], args=[BATCH_TTL_S, *flat], client=pipe)
                    if mark is not None:
                        self._mark(keys=[mark_key(mark.writer)], args=[mark.number, MARK_TTL_S], client=pipe)
                    counts: list[int] = pipe.execute()
                if mark is not None and not counts.pop():
                    raise lost(mark)
                applied += sum(counts)
                with self._redis.pipeline(transaction=False) as pipe:
                    for write in chunk:
                        if write.speed:
                            self._trim(keys=[write.key], args=[write.through_ms, *write.speed], client=pipe)
                    pipe.execute()
        except RedisError as error:
            raise unavailable(error) from error
        return applied

    def announce(self, name: str, through_ms: int) -> None:
        """See `OnlineStore.announce`."""
        try:
            self._announce(keys=[THROUGH_KEY], args=[name, through_ms])
        except RedisError as error:
            raise unavailable(error) from error

    def read(self, keys: Sequence[ReadKey]) -> Snapshot:
        """See `OnlineStore.read`."""
        asked = [hiredis.pack_command(command) for command in commands(keys)]  # type: ignore[arg-type]
        pool = self._redis.connection_pool
        try:
            connection = pool.get_connection()
            try:
                return snapshot(
                    keys, connection.retry.call_with_retry(lambda: _answers(connection, asked), lambda _: None)
                )
            finally:
                pool.release(connection)
        except RedisError as error:
            raise unavailable(error) from error


def _answers(connection: Connection, asked: Sequence[bytes]) -> list[object]:
    """Redis's answers to packed commands, as in a pipeline of the client but in half its time: nothing is converted."""
    try:
        connection.send_packed_command([b"".join(asked)])  # type: ignore[no-untyped-call]
        return [connection.read_response(disable_decoding=True) for _ in asked]
    except BaseException:
        # What is still to come would be taken for the answer to somebody else.
        connection.disconnect()  # type: ignore[no-untyped-call]
        raise


def commands(keys: Sequence[ReadKey]) -> Iterable[tuple[str, ...]]:
    """What to ask Redis for to answer `keys`, in one pipeline; of equal keys once."""
    for key in dict.fromkeys(keys):
        name = speed_key(key.entity, key.id)
        if key.has_speed:
            yield ("HGETALL", name)
        if key.tilings:
            yield ("HMGET", batch_key(name), *key.tilings)
    yield ("HGETALL", THROUGH_KEY)


def snapshot(keys: Sequence[ReadKey], raw: list[object]) -> Snapshot:
    """What Redis answered to `commands(keys)`."""
    answers = iter(raw)
    replies: dict[ReadKey, EntityReply] = {}
    for key in dict.fromkeys(keys):
        speed = _mapping(next(answers)) if key.has_speed else {}
        blobs = cast("Sequence[bytes | None]", next(answers)) if key.tilings else []
        replies[key] = EntityReply(speed, {t: b for t, b in zip(key.tilings, blobs, strict=True) if b is not None})
    return Snapshot(
        [replies[key] for key in keys], {name.decode(): int(ms) for name, ms in _mapping(next(answers)).items()}
    )


def _mapping(raw: object) -> dict[bytes, bytes]:
    return raw if isinstance(raw, dict) else {}


def _chunks(items: Sequence[T], size: int = MOST_BLOBS) -> Iterable[Sequence[T]]:
    return (items[i : i + size] for i in range(0, len(items), size))


def mark_key(writer: str) -> str:
    """Key of the number of a writer's last write."""
    return f"lamina:mark:{writer}"


def _log_key(log: str) -> str:
    return f"lamina:offsets:{log}"


def lost(mark: Mark) -> WritesLost:
    """The error that says that the server no longer knows of this write."""
    return WritesLost(f"Redis was restarted without all it had acknowledged: write {mark.number} of {mark.writer}")


def unavailable(error: Exception) -> StoreUnavailable:
    """Any failure of the client as the one error that callers know."""
    # From within a script it is an error like any other.
    if isinstance(error, OutOfMemoryError) or "OOM command not allowed" in str(error):
        return StoreUnavailable("Redis is full: raise its maxmemory, or let fewer entities live")
    return StoreUnavailable(
        f"Redis did not answer ({type(error).__name__}): check `lamina status` and LAMINA_REDIS_URL"
    )
