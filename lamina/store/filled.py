"""Up to when the batch tiles of each tile spec are in Redis, noted there: if its data is lost, so is the claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, cast

import redis
from redis.exceptions import RedisError

from lamina.semantics.plan import TileSpec
from lamina.store.redis import unavailable

KEY = "lamina:filled"

# KEYS: the notes. ARGV: a tile spec, a batch end, how far back, '1' to replace what was noted of a later end.
NOTE = """
local old = redis.call('HGET', KEYS[1], ARGV[1])
if old and ARGV[4] ~= '1' and tonumber(string.match(old, '^%d+')) > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
return 1
"""


class Until(NamedTuple):
    """Batch tiles of a tile spec are there before `batch_end_ms`, as far back as `TileSpec.reach` says."""

    batch_end_ms: int
    reach: tuple[int, ...]


class Filled:
    """The notes. The constructor opens no connection.

    Raises: StoreUnavailable: from any method, when Redis does not answer.
    """

    def __init__(self, url: str, *, timeout_ms: int = 5000) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=timeout_ms / 1000, socket_connect_timeout=timeout_ms / 1000
        )
        self._note = self._redis.register_script(NOTE)

    def note(self, specs: Iterable[TileSpec], batch_end_ms: int, *, takes_back: bool = False) -> None:
        """Say that every blob of `specs` is there; of a later end it is said already, unless this takes back."""
        try:
            for spec in specs:
                self._note(keys=[KEY], args=[spec.key, batch_end_ms, " ".join(map(str, spec.reach)), int(takes_back)])
        except RedisError as error:
            raise unavailable(error) from error

    def read(self) -> Mapping[str, Until]:
        """What is noted, by key of the tile spec."""
        try:
            found = cast("dict[bytes, bytes]", self._redis.hgetall(KEY))
        except RedisError as error:
            raise unavailable(error) from error
        parts = {key.decode(): text.split() for key, text in found.items()}
        return {key: Until(int(end), tuple(map(int, reach))) for key, (end, *reach) in parts.items()}

    def forget(self, keys: Iterable[str]) -> None:
        """Drop the notes of tile specs that are removed."""
        try:
            if gone := list(keys):
                self._redis.hdel(KEY, *gone)
        except RedisError as error:
            raise unavailable(error) from error
