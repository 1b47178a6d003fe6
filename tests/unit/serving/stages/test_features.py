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
