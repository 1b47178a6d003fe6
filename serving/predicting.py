"""The parts that answer for registered models, put together. Nothing here opens a connection."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass

from lamina import definitions
from lamina.clock import Clock
from lamina.registry.protocol import ModelRegistry
from lamina.scoring.load import load
from lamina.settings import Settings
from serving.stages.cache import PredictionCache
from serving.stages.changeover import Changeovers
from serving.stages.features import AsyncStore, FeatureStage
from serving.stages.microbatch import MicroBatcher
from serving.stages.model import ServedModel
from serving.stages.model_repository import ModelRepository
from serving.stages.predict import Predictor
from serving.stages.shared_scores import RedisScores
from serving.supervision import take_down

CLOSE_S = 0.5
"""Longest waits at the end, in seconds; what they add up to is in `STOP_REST_S` of the settings."""


@dataclass(frozen=True)
class Predictions:
    """Everything that answers for registered models; `shared` is the cache's tier in Redis."""

    repository: ModelRepository
    predictor: Predictor
    batcher: MicroBatcher
    store: AsyncStore
    shared: RedisScores | None

    async def close(self) -> None:
        """Let what was begun end."""
        steps = [
            ("scoring", CLOSE_S, lambda: asyncio.to_thread(self.batcher.close)),
            ("predictions' store", CLOSE_S, self.store.close),
        ]
        if self.shared is not None:
            steps.append(("shared scores", CLOSE_S, self.shared.close))
        await take_down(steps)


def make_predictions(
    settings: Settings,
    registry: ModelRegistry,
    champions: Mapping[str, ServedModel],
    store: AsyncStore,
    clock: Clock,
    changeovers: Changeovers,
) -> Predictions:
    """Everything that answers for registered models; `champions` are those that systems serve by themselves."""
    models = settings.stack_dir / "models"
    repository = ModelRepository(
        registry,
        lambda name: ServedModel(name, registry, load, models / name),
        champions,
        every_s=settings.champion_poll_s,
    )
    shared = None
    if settings.predict_cache_ttl_s:
        shared = RedisScores(
            settings.redis_url.get_secret_value(),
            timeout_ms=settings.redis_timeout_ms,
            ttl_s=settings.predict_cache_ttl_s,
            entries=settings.predict_cache_redis_entries,
            rng=random.Random(),
        )
    batcher = MicroBatcher(
        most_rows=settings.predict_batch_rows,
        wait_ms=settings.predict_batch_wait_ms,
        queue_rows=settings.predict_queue_rows,
    )

    def stage(system: str) -> FeatureStage:
        return changeovers.of(definitions.load(system)).stage(store, timeout_ms=settings.predict_timeout_ms)

    cache = PredictionCache(shared, entries=settings.predict_cache_entries)
    predictor = Predictor(
        repository,
        stage,
        cache,
        batcher,
        default_model=settings.predict_model,
        deadline_ms=settings.predict_deadline_ms,
        clock=clock,
    )
    return Predictions(repository, predictor, batcher, store, shared)
