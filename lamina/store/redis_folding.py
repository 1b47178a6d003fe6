"""Writes the sums of each minute and hour of busy keys, all but the newest minute, into the tree in Redis.

A sum is computed here and written only if nothing below it has changed since (optimistic locking): its field is marked
first, and every write below it removes the mark. A process that dies in between leaves its mark behind, which readers
take for a missing sum.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import redis

from lamina.errors import CodecError
from lamina.store.edges import HOUR_MS, MINUTE_MS
from lamina.store.folded import Folder, Hour, hours_of, is_whole
from lamina.store.redis_scripts import CLAIM, FOLD

log = logging.getLogger(__name__)

Fields = Mapping[bytes, bytes]


class _Sum(NamedTuple):
    """A sum to compute: the hash and the field it goes to, the hash with its parts, and how long it is."""

    tile_spec: str
    holder: str
    field: str
    parts: str
    length_ms: int


class Folding:
    """Adds tiles up in Redis. Several may do so at once.

    Raises: RedisError: from `fold`; what is not written is computed after a later write.
    """

    def __init__(self, client: redis.Redis, folder: Folder) -> None:
        self._redis, self._folder = client, folder
        self._claim, self._fold = client.register_script(CLAIM), client.register_script(FOLD)

    def fold(self, keys: Sequence[str]) -> None:
        """Add up all minutes of `keys` but the newest of each, and all hours that are then whole."""
        own = zip(keys, self._all(keys), strict=True)
        hours = [hour for key, fields in own for hour in self._open(key, fields)]
        minutes = dict(zip(hours, self._all([hour.node for hour in hours]), strict=True))
        newest = {(h.key, h.tile_spec): max(map(int, found)) for h, found in sorted(minutes.items()) if found}
        sums = [
            _Sum(h.tile_spec, h.node, str(start), h.minute(start), MINUTE_MS)
            for h, found in minutes.items()
            for start in (int(name) for name, value in found.items() if not is_whole(value))
            if start != newest[h.key, h.tile_spec]
        ]
        self._write(sums)
        past = [h for h in hours if h.start_ms + HOUR_MS <= newest.get((h.key, h.tile_spec), 0)]
        self._write([_Sum(h.tile_spec, h.key, h.field, h.node, HOUR_MS) for h in past])

    def _open(self, key: str, fields: Fields) -> list[Hour]:
        hours = hours_of(key, fields)
        return [h for h in hours if self._folder.knows(h.tile_spec) and not is_whole(fields[h.field.encode()])]

    def _all(self, names: Sequence[str]) -> list[Fields]:
        with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hgetall(name)
            return cast("list[Fields]", pipe.execute())

    def _write(self, sums: Sequence[_Sum]) -> None:
        if not sums:
            return
        mark = f"?{uuid.uuid4().hex}"
        with self._redis.pipeline(transaction=False) as pipe:
            for own in sums:
                self._claim(keys=[own.holder, own.parts], args=[own.field, mark], client=pipe)
            parts = [dict(zip(flat[::2], flat[1::2], strict=True)) for flat in pipe.execute()]
        with self._redis.pipeline(transaction=False) as pipe:
            for own, fields in zip(sums, parts, strict=True):
                if own.length_ms == HOUR_MS:
                    if not all(map(is_whole, fields.values())):
                        continue
                    fields = {f"{own.tile_spec}/{name.decode()}".encode(): value for name, value in fields.items()}
                try:
                    total = self._folder.sum(own.tile_spec, fields, own.length_ms)
                except CodecError as error:
                    log.error("%s %s is not added up: %s", own.holder, own.field, error)
                    continue
                self._fold(keys=[own.holder], args=[own.field, mark, total], client=pipe)
            pipe.execute()
