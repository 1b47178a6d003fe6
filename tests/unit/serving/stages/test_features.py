"""Features within their time or not at all, and a store that failed for a while and came back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from lamina.definitions.fraud import FEATURES
from lamina.errors import StoreUnavailable
from lamina.semantics.plan import make_plan
from lamina.store.protocol import Command, ReadKey, Snapshot
from lamina.store.reader import Reader
from serving.stages.features import FAILING_FOR_S, FAILURES_IN_A_ROW, REST_S, FeatureStage
from tests.unit.serving.recognisable import AsyncMemoryStore

ROW = {"user_id": "u", "merchant_id": "m"}


class Faltering(AsyncMemoryStore):
    """Does not answer while `down`."""

    down = True

    async def read(self, keys: Sequence[ReadKey], also: Sequence[Command] = ()) -> Snapshot:
        if self.down:
            raise StoreUnavailable("down")
        return await super().read(keys, also)


async def fails(stage: FeatureStage) -> None:
    with pytest.raises(StoreUnavailable):
        await stage.read_each([ROW])


def is_open(stage: FeatureStage) -> bool:
    return stage.breaker.is_open


def stage_at(store: Faltering, now: list[float]) -> FeatureStage:
    stage = FeatureStage(store, Reader(make_plan(FEATURES)), timeout_ms=60_000)
    stage.breaker._now = lambda: now[0]
    return stage


def test_a_store_that_answers_again_is_asked_by_everybody() -> None:
    async def run() -> None:
        store, now = Faltering(), [100.0]
        stage = stage_at(store, now)
        for _ in range(FAILURES_IN_A_ROW):
            await fails(stage)
            now[0] += FAILING_FOR_S
        assert is_open(stage)
        store.down = False
        now[0] += REST_S
        await stage.read_each([ROW])
        assert not is_open(stage), "one answer closes it"
        assert len(await stage.read_each([ROW])) == 1

    asyncio.run(run())


class Silent(AsyncMemoryStore):
    """Never answers."""

    async def read(self, keys: Sequence[ReadKey], also: Sequence[Command] = ()) -> Snapshot:
        return await asyncio.Event().wait()  # type: ignore[return-value]

    async def ping(self) -> None:
        await asyncio.Event().wait()


def test_a_store_that_does_not_answer_in_time_has_failed() -> None:
    async def run() -> None:
        stage = FeatureStage(Silent(), Reader(make_plan(FEATURES)), timeout_ms=20)
        async with asyncio.timeout(10):
            with pytest.raises(StoreUnavailable, match="did not answer in 20 ms"):
                await stage.read_each([ROW])
            assert stage.breaker._failed == 1
            assert await stage.check() == "no answer in time"

    asyncio.run(run())


class Echo(AsyncMemoryStore):
    """Answers each key, and each of what goes along, with itself."""

    async def read(self, keys: Sequence[ReadKey], also: Sequence[Command] = ()) -> Snapshot:
        return Snapshot(list(keys), {}, list(also))  # type: ignore[arg-type]


@pytest.mark.parametrize("along", [0, 1, 2])
def test_each_request_has_the_answers_to_its_own(along: int) -> None:
    reader = Reader(make_plan(FEATURES))
    rows = [{"user_id": f"u{i}", "merchant_id": f"m{i}"} for i in range(5)]
    also = [[("GET", f"u{i}-{j}") for j in range(along)] for i in range(5)]

    async def run() -> list[Snapshot]:
        stage = FeatureStage(Echo(), reader, timeout_ms=60_000)
        assert await stage.read_each([]) == []
        return await stage.read_each(rows, also=[command for one in also for command in one])

    found = asyncio.run(run())
    assert [each.replies for each in found] == [list[object](reader.keys(row, None)) for row in rows]
    assert [each.also for each in found] == also


def test_nobody_waits_for_a_store_that_has_failed_for_half_a_second() -> None:
    """But for one caller every quarter of a second."""

    async def run() -> None:
        store, now = Faltering(), [100.0]
        stage = stage_at(store, now)
        for now[0] in (100.0, 100.2, 100.4, 100.49):
            await fails(stage)
        assert not is_open(stage)
        now[0] = 100.5
        await fails(stage)
        assert is_open(stage)
        for now[0], tries in ((100.74, False), (100.75, True), (100.99, False), (101.0, True)):
            assert stage.breaker.may_try() is tries
        stage, store.down = stage_at(store, now), True
        for now[0] in (200.0, 201.0):
            await fails(stage)
        assert not is_open(stage), "two are no row"

    asyncio.run(run())


def test_failures_with_an_answer_between_them_open_nothing() -> None:
    async def run() -> None:
        store, now = Faltering(), [100.0]
        stage = stage_at(store, now)
        for _ in range(3 * FAILURES_IN_A_ROW):
            store.down = True
            await fails(stage)
            now[0] += FAILING_FOR_S
            store.down = False
            await stage.read_each([ROW])
        assert not is_open(stage)

    asyncio.run(run())
