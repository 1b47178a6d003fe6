"""What another model would have said is logged, and the answer never waits for it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from lamina.monitoring import metrics
from serving.stages import shadow
from tests.unit.serving.recognisable import Bench, add_version
from tests.unit.serving.stages.test_routing import BROKEN, CHALLENGER, CHAMPION, USERS, write


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    add_version(made.registry, CHAMPION, tmp_path, "champion")
    add_version(made.registry, CHALLENGER, tmp_path, "challenger")
    write(made, mode="shadow")
    made.start()
    return made


def test_the_control_answers_and_the_arm_is_logged(bench: Bench) -> None:
    async def run() -> None:
        await bench.refresh()
        for user in USERS:
            await bench.decide(user)
        assert bench.events.shadows == [], "nothing is scored before it is asked to"
        await bench.shadows.drain()

    asyncio.run(run())
    made = {d.request_id: d for d in bench.events.decisions}
    assert {(d.arm, d.score) for d in made.values()} == {("old", CHAMPION)}
    theirs = {d.request_id for d in made.values() if d.bucket is not None and d.bucket >= 7000}
    scored = bench.events.shadows
    assert {s.request_id for s in scored} == theirs and len(scored) == len(theirs) > 50
    assert {(s.experiment, s.arm, s.fallback) for s in scored} == {("trees@2", "new", "none")}
    assert {(s.models["model"].version, s.outputs["score"]) for s in scored} == {("2", CHALLENGER)}
    for each in scored:
        answer = made[each.request_id]
        assert (answer.model_version, answer.score) == ("1", CHAMPION)
        assert (each.bucket, each.event_id) == (answer.bucket, answer.transaction_id)
        assert (each.system, each.key) == ("fraud", answer.user_id), "in one order with the answer"
        assert not each.features, "the answer has them"


def test_answers_come_while_the_shadow_hangs(bench: Bench) -> None:
    held, going = threading.Event(), threading.Event()

    async def run() -> None:
        await bench.refresh()
        model = bench.routing.challengers[0].current
        assert model is not None
        scorer = model.scorer

        def slow(features: object) -> float:
            going.set()
            held.wait()
            return CHALLENGER

        scorer.predict = slow  # type: ignore[method-assign]
        running = asyncio.create_task(bench.shadows.run())
        await bench.decide("user-0")
        while not going.is_set():
            await bench.decide("user-1")
            await bench.decide(next(u for u in USERS if u not in ("user-0", "user-1")))
            for user in USERS:
                await bench.decide(user)
            await asyncio.sleep(0.01)
        answered = len(bench.events.decisions)
        for user in USERS:
            await bench.decide(user)
        assert len(bench.events.decisions) == answered + len(USERS)
        assert bench.events.shadows == []
        held.set()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    asyncio.run(run())
    expected = [d for d in bench.events.decisions if d.bucket is not None and d.bucket >= 7000]
    assert len(bench.events.shadows) == len(expected), "what waited was scored before the end"


def test_what_cannot_be_caught_up_with_is_left_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "WAITING", 5)
    counts = [metrics.SHADOW_SCORES.labels("fraud", "new", outcome) for outcome in ("scored", "left_out", "failed")]
    before = [each._value.get() for each in counts]

    async def run() -> None:
        await bench.refresh()
        for user in USERS:
            await bench.decide(user)
        await bench.shadows.drain()

    asyncio.run(run())
    assert len(bench.events.shadows) == 5 and len(bench.events.decisions) == len(USERS)
    offered = sum(d.bucket is not None and d.bucket >= 7000 for d in bench.events.decisions)
    assert [each._value.get() - b for each, b in zip(counts, before, strict=True)] == [5, offered - 5, 0]


def test_a_shadow_that_fails_is_logged_and_turned_off(bench: Bench, tmp_path: Path) -> None:
    add_version(bench.registry, BROKEN, tmp_path, "challenger")

    async def run() -> None:
        await bench.refresh()
        for user in USERS:
            await bench.decide(user)
        await bench.shadows.drain()
        bench.routing.judge()
        assert "arm new is off: 100.0%" in str(bench.routing.problems)
        before = len(bench.events.shadows)
        for user in USERS:
            await bench.decide(user)
        await bench.shadows.drain()
        assert len(bench.events.shadows) == before

    asyncio.run(run())
    assert {(s.fallback, *s.outputs) for s in bench.events.shadows} == {("model_failed",)}
    assert {(d.arm, d.fallback) for d in bench.events.decisions} == {("old", "none")}


@pytest.mark.parametrize("score", [float("nan"), float("inf"), 1.5])
def test_a_shadow_that_gives_no_probability_has_failed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, score: float
) -> None:
    async def run() -> None:
        await bench.refresh()
        model = bench.routing.challengers[0].current
        assert model is not None
        monkeypatch.setattr(model.scorer, "predict", lambda features: score, raising=False)
        for user in USERS:
            await bench.decide(user)
        await bench.shadows.drain()
        bench.routing.judge()

    asyncio.run(run())
    assert {(s.fallback, *s.outputs) for s in bench.events.shadows} == {("model_failed",)}
    assert "arm new is off: 100.0%" in str(bench.routing.problems)
