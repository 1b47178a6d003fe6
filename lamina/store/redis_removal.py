"""Taking tile specs out of Redis that nobody reads any more, in small steps beside everything that goes on."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import cast

import redis
from redis.exceptions import RedisError

from lamina.store.protocol import batch_key, speed_key
from lamina.store.redis import unavailable
from lamina.store.redis_scripts import TRIM

ENTITIES_PER_STEP, ENTITIES_PER_SCAN = 50, 1000
FOR_EVER_MS = 2**53


class Removal:
    """Removes tiles and blobs. The constructor opens no connection.

    Raises: StoreUnavailable: from any method, when Redis does not answer; what is left is removed by the next call.
    """

    def __init__(self, url: str, *, timeout_ms: int = 5000) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=timeout_ms / 1000, socket_connect_timeout=timeout_ms / 1000
        )
        self._trim = self._redis.register_script(TRIM)

    def speed(self, entity: str, specs: Collection[str]) -> None:
        """Remove the speed tiles of `specs`, by their ids, of every `entity`."""
        for keys in self._steps(speed_key(entity, ""), specs):
            with self._guarded(), self._redis.pipeline(transaction=False) as pipe:
                for key in keys:
                    self._trim(keys=[key], args=[FOR_EVER_MS, *specs], client=pipe)
                pipe.execute()

    def batch(self, entity: str, specs: Collection[str]) -> int:
        """Remove the blobs of `specs`, by their ids, of every `entity`; returns how many there were."""
        removed = 0
        for keys in self._steps(batch_key(speed_key(entity, "")), specs):
            with self._guarded(), self._redis.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.hdel(key, *specs)
                removed += sum(pipe.execute())
        return removed

    def _steps(self, prefix: str, specs: Collection[str]) -> Iterator[list[bytes]]:
        found = cast("Iterator[bytes]", self._redis.scan_iter(match=f"{prefix}*", count=ENTITIES_PER_SCAN))
        while specs:
            with self._guarded():
                keys = list(islice(found, ENTITIES_PER_STEP))
            if not keys:
                return
            yield keys

    @staticmethod
    @contextmanager
    def _guarded() -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            raise unavailable(error) from error
