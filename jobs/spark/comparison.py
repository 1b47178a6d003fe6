"""Served against recomputed values: when two are equal, and what it means when they are not. No Spark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from jobs.spark.visible import Answer, EntityHistory, Explanation, Tiles
from lamina.contracts.features import Entity, FeatureSet, WindowFeature
from lamina.semantics.events import EventRow, value_of
from lamina.semantics.reference import Value, chosen, elapsed, equal_numbers, membership, ratio

Outcome = Literal["match", "stale", "mismatch", "missing", "extra"]
OUTCOMES: tuple[Outcome, ...] = ("match", "stale", "mismatch", "missing", "extra")

EXACT = 1e-9
SUMS = ("total", "mean", "std", "decayed_count")
SUMMED = 1e-6
"""Tolerance, relative and absolute, where engines add numbers in different orders."""


@dataclass(frozen=True)
class Difference:
    """One value that was served otherwise than recomputed. `readable` is what the readable events give, where known.

    tiles: of a windowed feature, the tiles that were readable and those of all events.
    """

    feature: str
    outcome: Outcome
    served: Value
    expected: Value
    readable: Value = None
    early: bool = False
    tiles: tuple[Tiles, Tiles] | None = None

    @property
    def size(self) -> float | None:
        """Absolute difference; None unless both are numbers."""
        if isinstance(self.served, float | int) and isinstance(self.expected, float | int):
            return abs(self.served - self.expected)
        return None


class Comparison:
    """Compares values of one feature set.

    >>> from lamina.definitions.fraud import FEATURES
    >>> Comparison(FEATURES).same("txn_count_1h", 3.0, 3.0), Comparison(FEATURES).same("txn_count_1h", None, 0.0)
    (True, False)
    >>> Comparison(FEATURES).same("last_txn_ms", 1_533_686_400_000.0, 1_533_686_400_001.0)
    False
    """

    def __init__(self, features: FeatureSet) -> None:
        self.features = features
        self._windows = {f.name: f for f in features.window_features}
        summed = {f.name for f in features.window_features if f.aggregate.kind in SUMS}
        summed |= {c.name for c in features.chosen if summed & {*c.parts}}
        self._summed = summed | {r.name for r in features.ratios}

    def same(self, name: str, a: Value, b: Value) -> bool:
        """Whether two values of feature `name` are equal within its tolerance."""
        if isinstance(a, list) and isinstance(b, list):
            pairs: list[tuple[Value, Value]] = list(zip(a, b, strict=False))
            return len(a) == len(b) and all(self.same(name, x, y) for x, y in pairs)
        if not isinstance(a, float | int) or not isinstance(b, float | int):
            return a == b
        tolerance = SUMMED if name in self._summed else EXACT
        return equal_numbers(a, b, relative=tolerance, absolute=tolerance)

    def split(self, served: Mapping[str, Value], expected: Mapping[str, Value]) -> tuple[list[str], dict[str, Value]]:
        """Names of the features that match, and the recomputed values of those that do not.

        A feature that was not served at all is one served as missing; a served name that no definition knows is
        expected to be missing.
        """
        names = [*self.features.names, *(n for n in served if n not in expected)]
        differing = {n: expected.get(n) for n in names if not self.same(n, served.get(n), expected.get(n))}
        return [n for n in self.features.names if n not in differing], differing

    def unexplained(self, name: str, served: Value, expected: Value) -> Difference:
        """A difference that no lateness explains."""
        outcome: Outcome = "missing" if served is None else "extra" if expected is None else "mismatch"
        return Difference(name, outcome, served, expected)

    def explainable(self, entity: Entity) -> list[str]:
        """Features that come from the events of `entity`: of its windows, and what is made from those."""
        windows = {f.name for f in self.features.window_features if f.view.entity == entity}
        return [name for name in self.features.names if windows.intersection(self.features.with_parts([name]))]

    def explain(
        self,
        history: EntityHistory,
        entity: Entity,
        served: Answer,
        values: Mapping[str, Value],
        differing: Mapping[str, Value],
        request: EventRow,
    ) -> list[Difference]:
        """What became of each of the `differing` features of `entity`.

        Args: values: all that was served; differing: recomputed values of what differs; request: what was asked about.
        """

        def same(feature: WindowFeature, a: Value, b: Value) -> bool:
            return self.same(feature.name, a, b)

        found = history.explain(served, same)
        for name, parts, again in self._made(request, served.at_ms):
            if name in differing and all(p in found or p not in differing for p in parts):
                value = again({p: values.get(p) for p in parts})
                if self.same(name, values.get(name), value):
                    early = any(p in found and found[p].cause == "early" for p in parts)
                    found[name] = Explanation("early" if early else "stale", value)
        result = []
        for name in self.explainable(entity):
            if name not in differing:
                continue
            if name in found:
                early = found[name].cause == "early"
                one = Difference(name, "stale", values.get(name), differing[name], found[name].value, early)
            else:
                one = self.unexplained(name, values.get(name), differing[name])
            tiles = history.tiles(self._windows[name], served) if name in self._windows else None
            result.append(replace(one, tiles=tiles))
        return result

    def _made(
        self, request: EventRow, at_ms: int
    ) -> Iterator[tuple[str, tuple[str, ...], Callable[[Mapping[str, Value]], Value]]]:
        """What is made from other features: name, those that count for `request`, and how it is made from their values.

        Nothing comes before what it is made from.
        """
        for c in self.features.chosen:
            part = c.part(value_of(request, c.column))
            yield c.name, () if part is None else (part,), partial(chosen, c, request=request)
        for m in self.features.memberships:
            yield m.name, m.parts, partial(membership, m, request=request)
        for r in self.features.ratios:
            yield r.name, r.parts, partial(ratio, r)
        for e in self.features.elapsed:
            yield e.name, e.parts, partial(elapsed, e, at_ms=at_ms)


def matches_of(names: Sequence[Sequence[str]]) -> Counter[str]:
    """How often each feature matched, over answers."""
    return Counter(name for some in names for name in some)
