"""The tier of the prediction cache in Redis: within its time or not at all, and never the reason for a failure.

It shares its Redis with the features, which must not be evicted, so it bounds itself: a prediction has one of so many
places, named by its key, and takes it from whichever was there.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from typing import cast
from zlib import crc32

from redis.exceptions import RedisError

from lamina.monitoring import metrics
from lamina.store.protocol import Command
from lamina.store.redis_reader import RedisExchange, without_errors
from serving.stages.breaker import Breaker
from serving.stages.features import FAILING_FOR_S, FAILURES_IN_A_ROW, REST_S

log = logging.getLogger(__name__)

DEFAULT_ENTRIES = 50_000
JITTER = 0.1
"""Share of its lifetime by which an entry may end earlier, so that those of one moment do not end at one moment."""


class RedisScores:
    """Implements `SharedScores`. What Redis did not do is counted in `prediction_cache_total`, by outcome.

    Args: ttl_s: how long an entry lives at most, in seconds; entries: how many there are at most, of all processes;
    rng: draws how much earlier each one ends.
    """

    def __init__(
        self, url: str, *, timeout_ms: int, ttl_s: int, rng: random.Random, entries: int = DEFAULT_ENTRIES
    ) -> None:
        self._entries = entries
        self._ttl_ms, self._rng = ttl_s * 1000, rng
        self._redis = RedisExchange(url, timeout_s=timeout_ms / 1000)
        self.breaker = Breaker(failures=FAILURES_IN_A_ROW, over_s=FAILING_FOR_S, rest_s=REST_S)

    async def get(self, keys: Sequence[str]) -> list[float | None]:
        """See `SharedScores.get`."""
        if not self.breaker.may_try():
            metrics.PREDICTION_CACHE.labels("redis", "skipped").inc(len(keys))
            return [None] * len(keys)
        try:
            (found,) = without_errors(await self._redis.ask([("MGET", *map(self._place, keys))]))
            held = cast("Sequence[bytes | None]", found)
            scores = [_score(key, each) for key, each in zip(keys, held, strict=True)]
        except (RedisError, OSError, TimeoutError, ValueError) as error:
            self._failed(error, len(keys))
            return [None] * len(keys)
        self.breaker.succeeded()
        return scores

    async def put(self, scores: Mapping[str, float]) -> None:
        """See `SharedScores.put`."""
        if self.breaker.is_open:
            return
        try:
            asked: list[Command] = [
                ("SET", self._place(key), f"{key} {score!r}", "PX", self._lives_ms()) for key, score in scores.items()
            ]
            without_errors(await self._redis.ask(asked))
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(error, len(scores))

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.close()

    def _lives_ms(self) -> int:
        return round(self._ttl_ms * (1 - JITTER * self._rng.random()))

    def _place(self, key: str) -> str:
        return f"prediction:{crc32(key.encode()) % self._entries}"

    def _failed(self, error: Exception, keys: int) -> None:
        self.breaker.failed()
        metrics.PREDICTION_CACHE.labels("redis", "error").inc(keys)
        log.debug("predictions go on without Redis: %s", error)


def _score(key: str, held: bytes | None) -> float | None:
    """The score in a place, if it is that of `key`."""
    owner, _, score = (held or b"").rpartition(b" ")
    return float(score) if owner == key.encode() else None
