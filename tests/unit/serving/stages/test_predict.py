from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tiles import speed_writes
from lamina.contracts.predictions import Question
from lamina.contracts.served import FeatureValue
from lamina.definitions.fraud import FEATURES
from lamina.errors import PredictionTimeout
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import CHAMPION
from lamina.scoring.protocol import Outputs
from lamina.semantics.plan import make_plan
from lamina.store.protocol import Snapshot
from lamina.store.reader import Reader
from serving.routes.predict import FRAUD_QUESTION
from serving.stages.cache import PredictionCache
from serving.stages.features import FeatureStage
from serving.stages.microbatch import MicroBatcher
from serving.stages.model import ServedModel
from serving.stages.model_repository import ModelRepository
from serving.stages.predict import Call, Predictor
from tests.unit.serving.recognisable import AT_MS, AsyncMemoryStore, Bench, Constant, add_version
from tests.unit.serving.transactions import transaction

PLAN = make_plan(FEATURES)


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
        repository = ModelRepository(bench.registry, lambda _: bench.champion, {"fraud": bench.champion}, every_s=1)
        stage = FeatureStage(AsyncMemoryStore(), Reader(make_plan(FEATURES)), timeout_ms=60_000)
        batcher = MicroBatcher(most_rows=128, wait_ms=1, queue_rows=512)
        predictor = Predictor(
            repository,
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


class Counting(Constant):
    """Scores by two of its inputs, and counts how often it was asked."""

    asked = 0

    def predict(self, features: Mapping[str, FeatureValue]) -> float:
        count, amount = (float(str(features.get(name) or 0)) for name in ("lifetime_txn_count", "amount"))
        return count / 1e3 + amount / 1e6

    def predict_batch(self, rows: Sequence[Mapping[str, FeatureValue]]) -> Outputs:
        Counting.asked += len(rows)
        return super().predict_batch(rows)


def test_a_prediction_of_fraud_comes_from_the_cache_until_something_has_happened(tmp_path: Path) -> None:
    """By the real definition, whose seconds since four events change with every millisecond."""

    async def run() -> None:
        now = [AT_MS]
        registry, store, shared = MemoryRegistry(tmp_path / "registry"), AsyncMemoryStore(), Kept()
        add_version(registry, 0.25, tmp_path, CHAMPION)
        served = ServedModel("fraud", registry, lambda _: Counting(0.5), tmp_path / "served")
        await served.refresh()
        warmed_up = Counting.asked
        batcher = MicroBatcher(most_rows=128, wait_ms=0, queue_rows=512)

        def process() -> Predictor:
            repository = ModelRepository(registry, lambda _: served, {"fraud": served}, every_s=1)
            stage = FeatureStage(store, Reader(PLAN), timeout_ms=60_000)
            cache = PredictionCache(shared, entries=1000)
            return Predictor(
                repository,
                lambda _: stage,
                cache,
                batcher,
                default_model="fraud",
                deadline_ms=60_000,
                clock=lambda: now[0],
            )

        question = Question.model_validate(
            {k: v for k, v in FRAUD_QUESTION.items() if k not in ("model", "timestamp")} | {"timestamp": None}
        )

        async def ask(predictor: Predictor) -> tuple[float | None, str | None]:
            found = await predictor.predict(Call([question], None, "r", 0))
            await asyncio.sleep(0)
            return found.score, found.answered_by

        def pay(ago_ms: int, number: int) -> None:
            paid = transaction(
                transaction_id=f"t{number}", user_id=question.user_id, timestamp=now[0] - ago_ms
            ).model_dump(mode="json")
            events.append(paid)
            store.store.write_tiles(speed_writes(PLAN.speed, {"transactions": events}, 0))

        events: list[dict[str, object]] = []
        pay(7_200_000, 1)
        first, second = process(), process()
        score, by = await ask(first)
        assert by == "model"
        for _ in range(20):
            now[0] += 37
            assert await ask(first) == (score, "local")
        assert await ask(second) == (score, "redis")
        assert Counting.asked == warmed_up + 1
        # A payment is another input, and so another key, at once.
        pay(0, 2)
        now[0] += 1
        newer, by = await ask(first)
        assert by == "model"
        assert newer != score
        # Two seconds after it are more than a step of seconds; two of two hours were not.
        now[0] += 2_000
        assert (await ask(first))[1] == "model"
        batcher.close()

    asyncio.run(run())


class Kept:
    """A shared tier in a dictionary."""

    def __init__(self) -> None:
        self.scores: dict[str, float] = {}

    async def get(self, keys: Sequence[str]) -> list[float | None]:
        return [self.scores.get(key) for key in keys]

    async def put(self, scores: Mapping[str, float]) -> None:
        self.scores.update(scores)


def test_fifty_are_read_at_a_time_and_nobody_waits_beyond_the_deadline(tmp_path: Path) -> None:
    sizes: list[int] = []

    class Reading(FeatureStage):
        async def read_each(self, requests: Sequence[Any], *given: Any, **named: Any) -> list[Snapshot]:
            sizes.append(len(requests))
            return await super().read_each(requests, *given, **named)

    async def run() -> None:
        bench = Bench(tmp_path)
        add_version(bench.registry, 0.25, tmp_path, CHAMPION)
        bench.start()
        await bench.refresh()
        batcher = MicroBatcher(most_rows=128, wait_ms=0, queue_rows=512)

        def predictor(deadline_ms: int) -> Predictor:
            return Predictor(
                ModelRepository(bench.registry, lambda _: bench.champion, {"fraud": bench.champion}, every_s=1),
                lambda _: Reading(AsyncMemoryStore(), Reader(PLAN), timeout_ms=60_000),
                PredictionCache(None, entries=10),
                batcher,
                default_model="fraud",
                deadline_ms=deadline_ms,
                clock=lambda: AT_MS,
            )

        question = Question.model_validate({k: v for k, v in FRAUD_QUESTION.items() if k != "model"})
        found = await predictor(60_000).predict_all(Call([question] * 101, None, "r", 0))
        assert [each.request_id for each in found] == [f"r-{i}" for i in range(101)]
        assert sizes == [50, 50, 1]
        late = predictor(20)
        late._repository.model = lambda name: asyncio.Event().wait()  # type: ignore[assignment,method-assign,return-value]
        for model, name in ((None, "fraud"), ("other", "other")):
            with pytest.raises(PredictionTimeout, match=f"no prediction of {name} within 0.02 s"):
                async with asyncio.timeout(5):
                    await late.predict(Call([question], model, "r", 0))
        batcher.close()

    asyncio.run(run())
