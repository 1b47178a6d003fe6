from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from lamina.contracts.predictions import Question
from lamina.definitions.fraud import FEATURES
from lamina.registry.protocol import CHAMPION
from lamina.semantics.plan import make_plan
from lamina.store.reader import Reader
from serving.routes.predict import FRAUD_QUESTION
from serving.stages.cache import PredictionCache
from serving.stages.features import FeatureStage
from serving.stages.microbatch import MicroBatcher
from serving.stages.predict import Call, Predictor
from serving.stages.shelf import ModelShelf
from tests.unit.serving.recognisable import AT_MS, AsyncMemoryStore, Bench, add_version


class Sure:
    """A shared tier that knows every prediction: 0.99."""

    async def get(self, keys: Sequence[str]) -> list[float | None]:
        return [0.99] * len(keys)

    async def put(self, scores: Mapping[str, float]) -> None:
        raise AssertionError("nothing was scored")


def test_a_decision_never_comes_from_the_cache(tmp_path: Path) -> None:
    """The cache answers a prediction of fraud; a decision by the same version asks the model all the same."""

    async def run() -> None:
        bench = Bench(tmp_path)
        add_version(bench.registry, 0.25, tmp_path, CHAMPION)
        bench.start()
        await bench.refresh()
        shelf = ModelShelf(bench.registry, lambda _: bench.champion, {"fraud": bench.champion}, every_s=1)
        stage = FeatureStage(AsyncMemoryStore(), Reader(make_plan(FEATURES)), timeout_ms=60_000)
        batcher = MicroBatcher(most_rows=128, wait_ms=1, queue_rows=512)
        predictor = Predictor(
            shelf,
            lambda _: stage,
            PredictionCache(Sure(), entries=10),
            batcher,
            default_model="fraud",
            deadline_ms=60_000,
            clock=lambda: AT_MS,
        )
        question = Question.model_validate({k: v for k, v in FRAUD_QUESTION.items() if k != "model"})
        for tier in ("redis", "local"):
            found = await predictor.predict(Call([question], None, "r", 0))
            assert (found.score, found.version, found.answered_by) == (0.99, "1", tier)
        for _ in range(2):
            decision = await bench.decide(question.user_id)
            assert (decision.score, decision.model_version) == (0.25, "1")
        batcher.close()

    asyncio.run(run())
