from __future__ import annotations

import asyncio
import random

from lamina.monitoring import metrics
from serving.stages.cache import Answer, PredictionCache
from serving.stages.shared_scores import RedisScores


def count(outcome: str) -> float:
    return float(metrics.PREDICTION_CACHE.labels("redis", outcome)._value.get())


def test_without_redis_predictions_go_on_and_it_is_counted() -> None:
    async def run() -> None:
        shared = RedisScores("redis://127.0.0.1:1/0", timeout_ms=1000, ttl_s=60, rng=random.Random(1))
        cache = PredictionCache(shared, entries=10)
        before, skipped = count("error"), count("skipped")

        async def score(places: list[int]) -> list[float]:
            return [0.5] * len(places)

        assert await cache.scores(["a", "b"], score) == [Answer(0.5, "model")] * 2  # type: ignore[arg-type]
        await asyncio.gather(*cache._tasks)
        await shared.put({"a": 0.5})
        # Two reads, and what was scored, tried once by the cache and once here.
        assert count("error") - before == 5
        shared.breaker.is_open, shared.breaker._next_try_s = True, float("inf")
        assert await shared.get(["c"]) == [None]
        assert count("skipped") - skipped == 1
        await shared.close()

    asyncio.run(run())
