from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence

import pytest

from lamina.errors import BadScore
from lamina.monitoring import metrics
from lamina.scoring.protocol import Value
from serving.stages.cache import Answer, PredictionCache, cache_key
from serving.stages.model import Model
from tests.unit.serving.recognisable import Constant

FEATURES: dict[str, Value] = {"amount": 1.0, "merchant_category": "travel"}


class Shared:
    """The middle tier, in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, float] = {}
        self.reads = self.puts = 0

    async def get(self, keys: Sequence[str]) -> list[float | None]:
        self.reads += 1
        return [self.kept.get(key) for key in keys]

    async def put(self, scores: Mapping[str, float]) -> None:
        self.puts += 1
        self.kept.update(scores)


class Scoring:
    """What stands for the model: notes the places it was asked for, and answers when told to."""

    def __init__(self, *scores: float | None) -> None:
        self.scores, self.asked = scores, list[list[int]]()
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, places: Sequence[int]) -> list[float | None]:
        self.asked.append(list(places))
        await self.go.wait()
        return [self.scores[place] for place in places]


def model(version: str = "1", run_id: str = "run") -> Model:
    return Model("fraud", version, Constant(0.5), run_id)


def count(tier: str, outcome: str) -> float:
    return float(metrics.PREDICTION_CACHE.labels(tier, outcome)._value.get())


def test_a_key_changes_with_version_registry_and_every_value() -> None:
    values: list[Value] = [1.0, 1.5, None, math.nan, math.inf, "1.0", ""]
    keys = [cache_key(model(), FEATURES | {"amount": value}) for value in values]
    keys += [
        cache_key(model("2"), FEATURES | {"amount": 1.0}),
        cache_key(model(run_id="x"), FEATURES | {"amount": 1.0}),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == cache_key(model(), FEATURES)
    assert keys[0].startswith("prediction:fraud:1:")


def test_what_no_input_reads_changes_no_key() -> None:
    assert cache_key(model(), FEATURES) == cache_key(model(), FEATURES | {"last_lat": 3.0})


def test_only_inputs_that_move_count_by_steps() -> None:
    moving = {"since": 1.0}
    base = FEATURES | {"since": 3600.0}

    def key(**changes: Value) -> str:
        return cache_key(Model("m", "1", Inputs(), "run"), base | changes, moving)

    assert key() == key(since=3600.04)
    assert key() != key(since=3700.0)
    assert key() != key(since=None)
    assert key() != key(amount=1.0000001)
    assert cache_key(Model("m", "1", Inputs(), "run"), base) != cache_key(
        Model("m", "1", Inputs(), "run"), base | {"since": 3600.04}
    )


class Inputs(Constant):
    names = ("amount", "since")

    def __init__(self) -> None:
        super().__init__(0.5)


def test_the_nearest_tier_answers() -> None:
    async def run() -> None:
        shared, scoring = Shared(), Scoring(0.1, 0.2)
        cache = PredictionCache(shared, entries=10)
        before = count("local", "hit"), count("redis", "hit"), count("model", "scored")
        assert await cache.scores(["a", "b"], scoring) == [Answer(0.1, "model"), Answer(0.2, "model")]
        assert await cache.scores(["b", "a"], scoring) == [Answer(0.2, "local"), Answer(0.1, "local")]
        await asyncio.sleep(0)
        other = PredictionCache(shared, entries=10)
        assert await other.scores(["a"], scoring) == [Answer(0.1, "redis")]
        assert await other.scores(["a"], scoring) == [Answer(0.1, "local")]
        assert scoring.asked == [[0, 1]]
        after = count("local", "hit"), count("redis", "hit"), count("model", "scored")
        assert [b - a for a, b in zip(before, after, strict=True)] == [3, 1, 2]

    asyncio.run(run())


def test_only_scores_are_given_to_others() -> None:
    """Nothing where nobody else is, and nothing where the model gave none: no work goes on, and none fails."""

    async def run() -> None:
        shared = Shared()
        for tier, given in ((None, 0.1), (shared, None)):
            cache = PredictionCache(tier, entries=10)
            await cache.scores(["a"], Scoring(given))
            assert await asyncio.gather(*cache._tasks, return_exceptions=True) in ([], [None])
        assert shared.puts == 0

    asyncio.run(run())


def test_equal_keys_in_flight_ask_once() -> None:
    async def run() -> None:
        scoring = Scoring(0.1, 0.2)
        scoring.go.clear()
        cache = PredictionCache(None, entries=10)
        calls = [asyncio.create_task(cache.scores(["a", "a"], scoring)) for _ in range(3)]
        calls.append(asyncio.create_task(cache.scores(["c", "b"], Scoring(0.3, 0.4))))
        await asyncio.sleep(0.01)
        scoring.go.set()
        found = await asyncio.gather(*calls)
        assert [[a.score for a in each] for each in found] == [[0.1, 0.1]] * 3 + [[0.3, 0.4]]
        assert scoring.asked == [[0]]

    asyncio.run(run())


def test_who_gives_up_leaves_the_answer_to_others() -> None:
    async def run() -> None:
        scoring = Scoring(0.1)
        scoring.go.clear()
        cache = PredictionCache(None, entries=10)
        first = asyncio.create_task(cache.scores(["a"], scoring))
        second = asyncio.create_task(cache.scores(["a"], scoring))
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.sleep(0)
        scoring.go.set()
        assert await second == [Answer(0.1, "model")]
        assert first.cancelled() and scoring.asked == [[0]]

    asyncio.run(run())


def test_a_failure_is_everybodys_and_not_kept() -> None:
    async def fail(places: Sequence[int]) -> list[float | None]:
        raise ValueError("no")

    async def run() -> None:
        cache = PredictionCache(None, entries=10)
        found = await asyncio.gather(*(cache.scores(["a"], fail) for _ in range(2)), return_exceptions=True)
        assert [str(each) for each in found] == ["no", "no"]
        assert await cache.scores(["a"], Scoring(0.1)) == [Answer(0.1, "model")]

    asyncio.run(run())


def test_a_row_without_a_score_is_asked_again() -> None:
    async def run() -> None:
        shared = Shared()
        cache = PredictionCache(shared, entries=10)
        assert (await cache.scores(["a"], Scoring(None)))[0].score is None
        await asyncio.sleep(0)
        assert shared.kept == {}
        assert await cache.scores(["a"], Scoring(0.3)) == [Answer(0.3, "model")]

    asyncio.run(run())


def test_the_longest_unused_leaves() -> None:
    async def run() -> None:
        cache = PredictionCache(None, entries=2)
        await cache.scores(["a", "b"], Scoring(0.1, 0.2))
        await cache.scores(["a"], Scoring())
        await cache.scores(["c"], Scoring(0.3))
        found = await cache.scores(["a", "c", "b"], Scoring(9, 9, 0.2))
        assert [a.tier for a in found] == ["local", "local", "model"]

    asyncio.run(run())


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_zero_is_an_answer(zero: float) -> None:
    async def run() -> None:
        shared = Shared()
        shared.kept["a"] = zero
        cache = PredictionCache(shared, entries=10)
        assert await cache.scores(["a"], Scoring()) == [Answer(zero, "redis")]
        assert await cache.scores(["a"], Scoring()) == [Answer(zero, "local")]

    asyncio.run(run())


@pytest.mark.parametrize("given", [[0.1], [0.1, 0.2, 0.3], []])
def test_scores_of_another_number_are_everybodys_failure(given: list[float | None]) -> None:
    async def wrong(places: Sequence[int]) -> list[float | None]:
        return given

    async def run() -> None:
        shared = Shared()
        cache = PredictionCache(shared, entries=10)
        async with asyncio.timeout(5):
            found = await asyncio.gather(*(cache.scores(["a", "b"], wrong) for _ in range(2)), return_exceptions=True)
        assert [type(each) for each in found] == [BadScore, BadScore]
        assert shared.kept == {}
        assert [a.score for a in await cache.scores(["a", "b"], Scoring(0.1, 0.2))] == [0.1, 0.2]

    asyncio.run(run())


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_neither_answered_nor_kept(score: float) -> None:
    async def run() -> None:
        shared = Shared()
        shared.kept["b"] = score
        cache = PredictionCache(shared, entries=10)
        found = await cache.scores(["a", "b"], Scoring(score, 0.2))
        assert found == [Answer(None, "model"), Answer(0.2, "model")]
        await asyncio.sleep(0)
        assert shared.kept["b"] == 0.2 and "a" not in shared.kept

    asyncio.run(run())


def test_a_search_that_is_cancelled_answers_all() -> None:
    async def run() -> None:
        scoring = Scoring(0.1)
        scoring.go.clear()
        cache = PredictionCache(None, entries=10)
        waiting = [asyncio.create_task(cache.scores(["a"], scoring)) for _ in range(2)]
        await asyncio.sleep(0.01)
        for task in cache._tasks:
            task.cancel()
        async with asyncio.timeout(5):
            found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in found] == [asyncio.CancelledError] * 2

    asyncio.run(run())
