"""How long stages took, by a clock that moves only where a test lets it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from lamina.contracts.fraud_decisions import Decision
from lamina.contracts.predictions import Question
from lamina.monitoring import metrics
from lamina.rules.book import RuleBook
from lamina.scoring.protocol import SCORE
from lamina.store.protocol import Command
from serving.routes.predict import FRAUD_QUESTION
from serving.stages.cache import PredictionCache
from serving.stages.microbatch import MicroBatcher
from serving.stages.model import Model
from serving.stages.model_repository import ModelRepository
from serving.stages.predict import Call, Predictor
from serving.stages.repeats import Repeats, Turn
from serving.stages.routing import Lane, RunningExperiment
from serving.stages.score import score_all
from serving.stages.shared_answers import Recorded
from serving.stages.stopwatch import Stopwatch
from serving.systems.fraud.build import KEPT
from serving.systems.fraud.decide import REQUESTS
from tests.unit.serving.recognisable import AT_MS, Bench, Constant, add_version
from tests.unit.serving.stages.test_routing import CHALLENGER, CHAMPION, write


class Hand:
    """Nanoseconds; `after` lets some pass before something is done."""

    def __init__(self) -> None:
        self.ns = 3_000_000_000_001

    def __call__(self) -> int:
        return self.ns

    def after(self, ms: float, found: Any) -> Any:
        """`found`, which takes `ms`."""

        def takes(*given: Any, **named: Any) -> Any:
            self.ns += round(ms * 1e6)
            return found(*given, **named)

        return takes


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    found = Hand()
    monkeypatch.setattr(time, "perf_counter_ns", found)
    return found


class Slow(Constant):
    """Takes 3 ms for a row alone, 8 for several."""

    def __init__(self, score: float, hand: Hand) -> None:
        super().__init__(score)
        self.predict = hand.after(3, super().predict)  # type: ignore[method-assign]
        self.predict_batch = hand.after(8, lambda rows: {SCORE: np.full(len(rows), score)})  # type: ignore[method-assign]


def test_a_lap_is_what_passed_since_the_last(hand: Hand) -> None:
    watch = Stopwatch(4_000_000)
    hand.ns += 2_000_000
    watch.lap("first")
    hand.ns += 500_000
    watch.lap("second")
    assert watch.ms == {"first": 6.0, "second": 0.5}


def test_an_arm_is_told_how_long_its_model_took(hand: Hand) -> None:
    running = Mock(label="timed@1")
    lane = Lane(Model("m", "1", Slow(0.25, hand)), running, "new")
    assert lane.score({}) == (lane, {SCORE: 0.25})
    running.observe.assert_called_once_with("new", 3.0, 0.25)


def test_rows_that_are_scored_together_share_the_time(hand: Hand) -> None:
    running = Mock(label="timed@1")
    lane = Lane(Model("m", "1", Slow(0.25, hand)), running, "new")
    assert score_all([lane] * 4, [{}] * 4) == [(lane, {SCORE: 0.25})] * 4
    assert [call.args for call in running.observe.call_args_list] == [("new", 2.0, 0.25)] * 4


def test_a_shadow_is_told_how_long_its_model_took(hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)
    add_version(bench.registry, CHAMPION, tmp_path, "champion")
    add_version(bench.registry, CHALLENGER, tmp_path, "challenger")
    write(bench, mode="shadow")
    bench.start()
    told: list[tuple[str, float]] = []
    monkeypatch.setattr(RunningExperiment, "observe", lambda self, arm, model_ms, score: told.append((arm, model_ms)))

    async def run() -> None:
        await bench.refresh()
        challenger = bench.routing.challengers[0].current
        assert challenger is not None
        monkeypatch.setattr(challenger.scorer, "predict", hand.after(3, lambda features: CHALLENGER), raising=False)
        for i in range(20):
            await bench.decide(f"user-{i}")
        told.clear()
        await bench.shadows.drain()

    asyncio.run(run())
    assert told and set(told) == {("new", 3.0)}


def seconds(stage: str) -> float:
    return float(metrics.STAGE_LATENCY.labels("fraud", stage)._sum.get())


STAGES = ("features", "rules", "model", "explain", "log")


def test_a_decision_says_what_each_stage_took(hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that are decided together wait for one read, and share what the model and the log take."""
    bench = Bench(tmp_path)
    add_version(bench.registry, 0.25, tmp_path, "champion")
    bench.start()

    async def run() -> list[Decision]:
        await bench.refresh()
        champion = bench.champion.current
        assert champion is not None
        bench.champion.current = Model(champion.name, "1", Slow(0.25, hand))
        store = bench.maker._features._store
        monkeypatch.setattr(store, "read", hand.after(16, store.read))
        monkeypatch.setattr(RuleBook, "judge", hand.after(1, RuleBook.judge))
        monkeypatch.setattr(Slow, "explain", hand.after(5, Slow.explain))
        monkeypatch.setattr(bench.events, "publish_all", hand.after(32, bench.events.publish_all))
        asked = [bench.case("u1"), bench.case("u2")]
        return list(await asyncio.gather(*(bench.decided(each, explain=True) for each in asked)))

    before = {stage: seconds(stage) for stage in STAGES}
    found = asyncio.run(run())
    for decision in found:
        assert decision.stage_ms == {"features": 16.0, "rules": 1.0, "model": 4.0, "explain": 5.0}
    assert [decision.latency_ms for decision in found] == [16 + 2 + 8 + 5, 16 + 2 + 8 + 10]
    took = {stage: (seconds(stage) - before[stage]) * 1000 for stage in STAGES}
    assert took == pytest.approx({"features": 32, "rules": 2, "model": 8, "explain": 10, "log": 32})


def predict_seconds(stage: str) -> float:
    return float(metrics.PREDICT_STAGE_LATENCY.labels(stage)._sum.get())


def test_a_prediction_says_what_each_stage_took(hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)
    add_version(bench.registry, 0.25, tmp_path, "champion")
    bench.start()
    stage = bench.maker._features
    store = stage._store
    monkeypatch.setattr(store, "read", hand.after(16, store.read))
    batcher = MicroBatcher(most_rows=1, wait_ms=60_000, queue_rows=10)
    monkeypatch.setattr(batcher, "score", hand.after(4, batcher.score))

    predictor = Predictor(
        ModelRepository(bench.registry, lambda _: bench.champion, {"fraud": bench.champion}, every_s=1),
        lambda _: stage,
        PredictionCache(None, entries=10),
        batcher,
        default_model="fraud",
        deadline_ms=60_000,
        clock=lambda: AT_MS,
    )

    async def run() -> float:
        await bench.refresh()
        question = Question.model_validate({k: v for k, v in FRAUD_QUESTION.items() if k != "model"})
        found = await predictor.predict(Call([question], None, "r", hand() - 2_000_000))
        return found.latency_ms

    latency = float(metrics.PREDICT_LATENCY._sum.get())
    before = {name: predict_seconds(name) for name in ("features", "model")}
    try:
        assert asyncio.run(run()) == 2 + 16 + 4
    finally:
        batcher.close()
    assert float(metrics.PREDICT_LATENCY._sum.get()) - latency == pytest.approx(0.022)
    took = {name: (predict_seconds(name) - before[name]) * 1000 for name in before}
    assert took == pytest.approx({"features": 16, "model": 4})


class ClaimedElsewhere:
    """Another process has the claim for two looks, and then has died."""

    def __init__(self) -> None:
        self.looks = 0

    def claim(self, turn: Turn) -> list[Command]:
        return []

    def found(self, turn: Turn, replies: Sequence[object]) -> Recorded | None:
        self.looks += 1
        return Recorded(turn.digest, None) if self.looks <= 2 else None

    def keep(self, turn: Turn, answer: bytes) -> None:
        pass

    def release(self, turn: Turn) -> None:
        pass

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("claimed", [False, True])
@pytest.mark.parametrize(("took_ms", "fallback"), [(60_000, "none"), (60_001, "rules_only_deadline")])
def test_the_deadline_is_the_models_and_begins_anew_after_a_wait(
    hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claimed: bool, took_ms: int, fallback: str
) -> None:
    bench = Bench(tmp_path)
    add_version(bench.registry, 0.25, tmp_path, "champion")
    bench.start()
    shared = ClaimedElsewhere()
    if claimed:
        bench.maker._repeats = Repeats(REQUESTS, shared, window_s=600, form=KEPT)
        store = bench.maker._features._store
        monkeypatch.setattr(store, "read", hand.after(40_000, store.read))
    monkeypatch.setattr(RuleBook, "judge", hand.after(took_ms, RuleBook.judge))

    async def run() -> Decision:
        await bench.refresh()
        return await bench.decide("u1")

    found = asyncio.run(run())
    assert found.fallback == fallback and shared.looks == 3 * claimed
