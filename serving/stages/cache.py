"""Scores that are known already: in this process, else in Redis, else from the model. Hot path.

A key holds the model's version and the values of the features as read: another version or another value is another key,
so an entry is never out of date. Of values that change with every moment it holds the step (`lamina.scoring.moving`): a
kept score is of one less than a hundredth, or a second, away. Only predictions pass here; a decision about money asks
the model each time.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from types import MappingProxyType
from typing import NamedTuple, Protocol

from cachetools import LRUCache

from lamina.contracts.predictions import Tier
from lamina.monitoring import metrics
from lamina.scoring.checked import as_many
from lamina.scoring.moving import step_of
from lamina.scoring.protocol import Value
from serving.stages.model import Model

FINGERPRINT_BYTES = 16
NOTHING_MOVES: Mapping[str, float] = MappingProxyType({})
Score = Callable[[Sequence[int]], Awaitable[Sequence[float | None]]]
"""Scores the questions at these places, as many as there are places."""


class Answer(NamedTuple):
    """A score, None where the model failed, and who knew it."""

    score: float | None
    tier: Tier


class SharedScores(Protocol):
    """Scores that several processes share. It counts what it could not do, and never fails."""

    async def get(self, keys: Sequence[str]) -> list[float | None]:
        """The score of each key, None where there is none."""

    async def put(self, scores: Mapping[str, float]) -> None:
        """Keep `scores` for a while."""


def cache_key(model: Model, features: Mapping[str, Value], moving: Mapping[str, float] = NOTHING_MOVES) -> str:
    """Names the answer of this version to these features, whoever asks.

    Args: moving: as `lamina.scoring.moving.moving`, the inputs that count by steps.

    >>> from unittest.mock import Mock
    >>> model = Model("m", "3", Mock(names=("a",)), "run")
    >>> cache_key(model, {"a": 1.0}) == cache_key(model, {"a": 1.0, "not an input": 2.0})
    True
    """
    get = features.get
    # `repr` tells apart what JSON does not: NaN, infinity and a missing value.
    values = [step_of(get(name), moving[name]) if name in moving else get(name) for name in model.scorer.names]
    text = repr((model.run_id, values))
    found = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=FINGERPRINT_BYTES).hexdigest()
    return f"prediction:{model.name}:{model.version}:{found}"


class PredictionCache:
    """Answers from the nearest tier that knows. A key that is being looked for is waited for, not looked for again.

    Args: shared: the tier between this process and the model; none leaves it out. entries: kept in this process, those
    used longest ago leave first.
    """

    def __init__(self, shared: SharedScores | None, *, entries: int) -> None:
        self._shared = shared
        self._local: LRUCache[str, float] = LRUCache(entries)
        self._in_flight: dict[str, asyncio.Future[Answer]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def scores(self, keys: Sequence[str], score: Score) -> list[Answer]:
        """The answer for each key, in order; those that no tier knows come from `score`, all in one call.

        Raises: whatever `score` raises, for everybody who waits for it.
        """
        found: list[Answer | asyncio.Future[Answer]] = []
        mine: dict[str, int] = {}
        for place, key in enumerate(keys):
            known = self._local.get(key)
            if known is not None:
                found.append(Answer(known, "local"))
                continue
            if key not in self._in_flight:
                self._in_flight[key] = asyncio.get_running_loop().create_future()
                mine[key] = place
            found.append(self._in_flight[key])
        waiting = [each for each in found if isinstance(each, asyncio.Future)]
        _count("local", len(keys) - len(waiting), len(waiting))
        if mine:
            # Others may wait for these keys: a caller that gives up must not take their answers away.
            self._go_on(self._find(mine, score))
        if waiting:
            await asyncio.wait(waiting)
        return [each if isinstance(each, Answer) else each.result() for each in found]

    def _go_on(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _find(self, places: Mapping[str, int], score: Score) -> None:
        try:
            missing = await self._ask_shared(list(places))
            if not missing:
                return
            made = as_many(await score([places[key] for key in missing]), len(missing))
            metrics.PREDICTION_CACHE.labels("model", "scored").inc(len(missing))
        except BaseException as error:
            # A cancellation too, as at the end of the service: nobody may wait for ever.
            for key in places:
                if (waiting := self._in_flight.pop(key, None)) is not None:
                    waiting.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        scored = {}
        for key, value in zip(missing, made, strict=True):
            known = _number(value)
            self._answer(key, Answer(known, "model"))
            if known is not None:
                scored[key] = known
        if self._shared is not None and scored:
            await self._shared.put(scored)

    async def _ask_shared(self, keys: list[str]) -> list[str]:
        """The keys that the shared tier does not know; the others are answered."""
        if self._shared is None:
            return keys
        missing = []
        for key, value in zip(keys, await self._shared.get(keys), strict=True):
            known = _number(value)
            if known is None:
                missing.append(key)
            else:
                self._answer(key, Answer(known, "redis"))
        _count("redis", len(keys) - len(missing), len(missing))
        return missing

    def _answer(self, key: str, answer: Answer) -> None:
        if answer.score is not None:
            self._local[key] = answer.score
        self._in_flight.pop(key).set_result(answer)


def _number(score: float | None) -> float | None:
    """`score`; None for what is no finite number, which is the answer of no model."""
    return score if score is not None and math.isfinite(score) else None


def _count(tier: str, hits: int, misses: int) -> None:
    if hits:
        metrics.PREDICTION_CACHE.labels(tier, "hit").inc(hits)
    if misses:
        metrics.PREDICTION_CACHE.labels(tier, "miss").inc(misses)
