"""Work in the background: whatever raises is seen, counted, begun again; at the end every step has its turn."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from lamina.errors import StoreUnavailable
from lamina.monitoring import metrics
from lamina.registry.memory import MemoryRegistry
from lamina.settings import Settings
from serving import supervision
from serving.bootstrap import Service, make_service
from serving.supervision import Background, take_down
from tests.unit.serving.recognisable import AsyncMemoryStore, fraud_of


def failures(task: str) -> float:
    return float(metrics.BACKGROUND_FAILURES.labels(task)._value.get())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def quick() -> Background:
    return Background(first_wait_s=0.01, longest_wait_s=0.04)


def test_a_step_that_raises_is_tried_again_until_it_does_well() -> None:
    wrong: list[Exception] = [OSError(28, "no space left"), ValueError("two\nlines"), KeyError()]
    seen: list[str | None] = []
    done = 0

    async def run() -> None:
        nonlocal done
        keep = quick()

        async def step() -> None:
            nonlocal done
            seen.append(keep.problems)
            if wrong:
                raise wrong.pop(0)
            done += 1

        keep.every(0.001, "polls", step)
        before = failures("polls")
        keep.start()
        await until(lambda: done > 3)
        assert keep.problems is None
        assert failures("polls") == before + 3
        await keep.stop(1)
        stopped = done
        await asyncio.sleep(0.02)
        assert done == stopped

    asyncio.run(run())
    assert seen[0] is None
    assert seen[1] is not None and "polls failed once" in seen[1] and "no space left" in seen[1]
    assert seen[2] is not None and "2 times" in seen[2] and "ValueError: two" in seen[2] and "lines" not in seen[2]
    assert seen[3] is not None and seen[4] is None


def test_waits_grow_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 8:
            raise asyncio.CancelledError

    async def run() -> None:
        keep = Background(first_wait_s=0.5, longest_wait_s=10)

        async def step() -> None:
            if len(waits) != 6:
                raise OSError

        keep.every(0.7, "fails", step)
        monkeypatch.setattr(asyncio, "sleep", sleep)
        keep.start()
        await asyncio.wait(keep._running)

    asyncio.run(run())
    assert waits == [0.7, 1, 2, 4, 8, 10, 0.7, 0.7], "never more often than told; from the start again after a success"


@pytest.mark.parametrize("ending", ["raises", "returns", "awaits what was cancelled"])
def test_an_endless_task_that_ends_is_begun_again(ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "SETTLED_S", 0.05)

    async def run() -> None:
        keep, begun = quick(), 0

        async def work() -> None:
            nonlocal begun
            begun += 1
            if begun == 1:
                if ending == "raises":
                    raise RuntimeError("on purpose")
                if ending == "returns":
                    return
                gone = asyncio.get_running_loop().create_future()
                gone.cancel()
                await gone
            await asyncio.Event().wait()

        keep.keep("endless", work)
        keep.start()
        await until(lambda: keep.problems is not None)
        assert "endless failed once" in (keep.problems or "")
        await until(lambda: begun == 2 and keep.problems is None)
        await keep.stop(1)

    asyncio.run(run())


def test_a_step_that_hangs_is_seen_and_does_not_hold_up_the_end() -> None:
    async def run() -> None:
        now_s = 0.0
        keep = Background(monotonic=lambda: now_s)

        async def hang() -> None:
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    if stubborn:
                        continue
                    raise

        stubborn = True
        keep.every(1, "hangs", hang)
        keep.start()
        await asyncio.sleep(0)
        assert keep.problems is None
        now_s = supervision.OVERDUE_S + 1
        assert "hangs has not come back for 121 s" in (keep.problems or "")
        async with asyncio.timeout(2):
            await keep.stop(0.05)
        stubborn = False
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    asyncio.run(run())


def test_a_task_that_fails_while_it_ends_does_not_begin_again() -> None:
    begun = 0

    async def run() -> None:
        nonlocal begun
        keep = Background()

        async def step() -> None:
            nonlocal begun
            begun += 1
            try:
                await asyncio.sleep(60)
            finally:
                raise OSError(28, "no space left")

        keep.keep("writes at its end", step)
        before = failures("writes at its end")
        keep.start()
        await until(lambda: begun == 1)
        (task,) = keep._running
        await keep.stop(0.2)
        assert task.done()
        assert failures("writes at its end") == before + 1

    asyncio.run(run())
    assert begun == 1


def test_at_the_end_every_step_has_its_turn() -> None:
    done: list[str] = []

    async def fails() -> None:
        done.append("fails")
        raise StoreUnavailable("on purpose")

    async def hangs() -> None:
        done.append("hangs")
        await asyncio.sleep(60)

    async def cancelled() -> None:
        done.append("cancelled")
        raise asyncio.CancelledError

    async def works() -> None:
        done.append("works")

    asyncio.run(take_down([("a", 1, fails), ("b", 0.02, hangs), ("c", 1, cancelled), ("d", 1, works)]))
    assert done == ["fails", "hangs", "cancelled", "works"]


class Recorded:
    """A service whose parts fail where they are told to; what was still done at the end."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        one = frozenset({"fraud"})
        settings = Settings(stack_dir=folder, served_systems=one, champion_poll_s=0.02, predict_cache_ttl_s=0)
        self.service: Service = make_service(
            settings, registry=MemoryRegistry(folder / "registry"), store=AsyncMemoryStore()
        )
        service = self.service
        service.background.first_wait_s = 0.01
        monkeypatch.setattr(type(service.events), "start", lambda events, recall: None)
        monkeypatch.setattr(type(service.events), "stop", lambda events, timeout_s: self.done.append("events"))

        async def close(features: object) -> None:
            self.done.append("features")

        monkeypatch.setattr(type(fraud_of(service).features), "close", close)


def test_a_poll_that_raises_goes_on_and_the_end_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded(tmp_path, monkeypatch)
    service = recorded.service
    polls = 0

    def full(*_: object) -> None:
        nonlocal polls
        polls += 1
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fraud_of(service).models.champion, "_refresh", full)
    monkeypatch.setattr(service.predictions.repository, "refresh", full)

    async def run() -> None:
        async with service.run():
            await until(lambda: polls > 4)
            found = await service.readiness()
            assert found.status == "degraded"
            assert "No space left" in (found.dependencies["model of fraud"].problem or "")
            assert "other models failed" in (found.dependencies["background"].problem or "")
        assert (await service.readiness()).status == "stopping"

    asyncio.run(run())
    assert recorded.done == ["events", "features"]


@pytest.mark.parametrize("part", ["background", "events", "predictions"])
def test_whatever_fails_at_the_end_the_rest_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    recorded = Recorded(tmp_path, monkeypatch)
    service = recorded.service

    async def fails(*_: object) -> None:
        raise OSError("on purpose")

    def fails_too(*_: object) -> None:
        raise OSError("on purpose")

    if part == "background":
        monkeypatch.setattr(service.background, "stop", fails)
    elif part == "events":
        monkeypatch.setattr(type(service.events), "stop", fails_too)
    else:
        monkeypatch.setattr(service.predictions.batcher, "close", fails_too)

    async def run() -> None:
        async with service.run():
            assert gc.get_freeze_count() > 0
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    asyncio.run(run())
    assert recorded.done == (["features"] if part == "events" else ["events", "features"])
    assert gc.get_freeze_count() == 0, "libraries complain of what is still there when the process ends"
