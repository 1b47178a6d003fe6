from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest

from lamina.errors import Overloaded
from lamina.scoring.protocol import SCORE, Outputs, Value
from serving.stages.microbatch import MicroBatcher
from serving.stages.model import Model
from tests.unit.serving.recognisable import Constant

LONG_MS = 60_000.0


class Doubling(Constant):
    """Scores `x` twice over; fails on a text, gives no number for None. `held` keeps it from answering."""

    def __init__(self) -> None:
        super().__init__(0)
        self.batches: list[int] = []
        self.held = threading.Event()
        self.held.set()

    def predict(self, features: Mapping[str, Value]) -> float:
        x = features["x"]
        return math.nan if x is None else 2 * float(x)  # type: ignore[arg-type]

    def predict_batch(self, rows: Sequence[Mapping[str, Value]]) -> Outputs:
        self.held.wait()
        self.batches.append(len(rows))
        return super().predict_batch(rows)


@asynccontextmanager
async def batching(
    *, most_rows: int = 4, wait_ms: float = LONG_MS, queue_rows: int = 100
) -> AsyncIterator[tuple[MicroBatcher, Model, Doubling]]:
    scorer = Doubling()
    batcher = MicroBatcher(most_rows=most_rows, wait_ms=wait_ms, queue_rows=queue_rows)
    try:
        async with asyncio.timeout(10):
            yield batcher, Model("m", "1", scorer), scorer
    finally:
        scorer.held.set()
        batcher.close()


def rows(*xs: Value) -> list[Mapping[str, Value]]:
    return [{"x": x} for x in xs]


def test_a_full_batch_does_not_wait_and_order_is_kept() -> None:
    async def run() -> None:
        async with batching() as (batcher, model, scorer):
            calls = [batcher.score(model, rows(float(i), i + 0.5)) for i in range(4)]
            found = await asyncio.gather(*calls)
            assert found == [[2.0 * i, 2 * i + 1.0] for i in range(4)]
            assert scorer.batches == [4, 4] and batcher.rows == 0

    asyncio.run(run())


def test_a_batch_that_was_full_is_not_sent_again_when_its_wait_ends() -> None:
    async def run() -> None:
        wrong: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: wrong.append(context))
        async with batching(wait_ms=1) as (batcher, model, scorer):
            await batcher.score(model, rows(*map(float, range(4))))
            await asyncio.sleep(0.02)
            assert (wrong, scorer.batches) == ([], [4])

    asyncio.run(run())


def test_a_call_larger_than_a_batch_is_cut() -> None:
    async def run() -> None:
        async with batching(wait_ms=1) as (batcher, model, scorer):
            assert await batcher.score(model, rows(*map(float, range(10)))) == [2.0 * i for i in range(10)]
            assert scorer.batches == [4, 4, 2]

    asyncio.run(run())


def test_what_comes_together_is_scored_together_after_the_wait() -> None:
    async def run() -> None:
        async with batching(wait_ms=1) as (batcher, model, scorer):
            found = await asyncio.gather(*(batcher.score(model, rows(float(i))) for i in range(3)))
            assert found == [[0.0], [2.0], [4.0]] and scorer.batches == [3]

    asyncio.run(run())


def test_models_are_not_mixed() -> None:
    async def run() -> None:
        async with batching(wait_ms=1) as (batcher, model, scorer):
            other = Doubling()
            await asyncio.gather(batcher.score(model, rows(1.0)), batcher.score(Model("m", "2", other), rows(2.0, 3.0)))
            assert (scorer.batches, other.batches) == ([1], [2])

    asyncio.run(run())


def test_a_row_that_fails_fails_alone() -> None:
    async def run() -> None:
        async with batching(wait_ms=1) as (batcher, model, _):
            assert await batcher.score(model, rows(1.0, "two", None, 4.0)) == [2.0, None, None, 8.0]

    asyncio.run(run())


def test_a_queue_takes_as_many_as_it_holds() -> None:
    async def run() -> None:
        async with batching(queue_rows=4) as (batcher, model, _):
            with pytest.raises(Overloaded, match="0 rows wait for a model already, of 4 at most"):
                await batcher.score(model, rows(*map(float, range(5))))
            assert await batcher.score(model, rows(*map(float, range(4)))) == [0.0, 2.0, 4.0, 6.0]
            assert await batcher.score(model, []) == []

    asyncio.run(run())


def test_a_full_queue_refuses_and_recovers() -> None:
    async def run() -> None:
        async with batching(queue_rows=6) as (batcher, model, scorer):
            scorer.held.clear()
            first = asyncio.create_task(batcher.score(model, rows(*map(float, range(4)))))
            await asyncio.sleep(0)
            with pytest.raises(Overloaded, match="4 rows wait"):
                await batcher.score(model, rows(1.0, 2.0, 3.0))
            scorer.held.set()
            assert await first == [0.0, 2.0, 4.0, 6.0]
            assert await batcher.score(model, rows(1.0, 2.0, 3.0, 4.0)) == [2.0, 4.0, 6.0, 8.0]

    asyncio.run(run())


def test_who_gives_up_costs_the_others_nothing() -> None:
    async def run() -> None:
        async with batching() as (batcher, model, _):
            given_up = asyncio.create_task(batcher.score(model, rows(1.0, 2.0)))
            await asyncio.sleep(0)
            given_up.cancel()
            assert await batcher.score(model, rows(3.0, 4.0)) == [6.0, 8.0]
            assert batcher.rows == 0

    asyncio.run(run())


@pytest.mark.parametrize("given", [0, 1, 3])
def test_scores_of_another_number_are_nobodys(given: int) -> None:
    """Rows are asked for one by one then, and nobody waits for ever."""

    async def run() -> None:
        async with batching(wait_ms=1) as (batcher, model, scorer):
            scorer.predict_batch = lambda rows: {SCORE: np.full(given, 9.0)}  # type: ignore[method-assign]
            async with asyncio.timeout(5):
                assert await batcher.score(model, rows(1.0, 2.0)) == [2.0, 4.0]
            assert batcher.rows == 0

    asyncio.run(run())


def test_a_thread_that_ended_answers_all() -> None:
    async def run() -> None:
        async with batching(wait_ms=1) as (batcher, model, _):
            batcher.close()
            async with asyncio.timeout(5):
                assert await batcher.score(model, rows(1.0, 2.0)) == [None, None]
            assert batcher.rows == 0

    asyncio.run(run())
