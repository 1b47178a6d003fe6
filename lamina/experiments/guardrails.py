"""Guardrails: an arm's errors, slowness and scores beside the control's, in a sliding window. `observe` is hot."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

from lamina.experiments.experiment import Limits

SLICES = 30  # the window slides by a thirtieth of its length
# Most scores are small: equal steps would put nearly all of them between the first two.
SCORE_EDGES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Breach:
    """Why an arm must not go on. `detail` holds the figures."""

    kind: Literal["errors", "latency", "scores"]
    detail: str


@dataclass(slots=True)
class _Tally:
    tried: int = 0
    failed: int = 0
    slow: int = 0
    scores: list[int] = field(default_factory=lambda: [0] * (len(SCORE_EDGES) + 1))

    def add(self, other: _Tally) -> None:
        self.tried += other.tried
        self.failed += other.failed
        self.slow += other.slow
        self.scores = [a + b for a, b in zip(self.scores, other.scores, strict=True)]

    def share(self, count: int) -> float:
        return count / self.tried if self.tried else 0.0


class Guardrails:
    """Counts what the arms do and says which of them break `limits`.

    Args: monotonic: seconds that never go back.

    >>> rails = Guardrails(Limits(min_decisions=2), ["new"], "old", monotonic=lambda: 0.0)
    >>> for _ in range(2):
    ...     rails.observe("old", model_ms=0.1, score=0.01)
    ...     rails.observe("new", model_ms=0.1, score=None)
    >>> rails.breaches()["new"].kind
    'errors'
    """

    def __init__(self, limits: Limits, arms: Iterable[str], control: str, *, monotonic: Callable[[], float]) -> None:
        self._limits, self._control, self._now = limits, control, monotonic
        self._arms = [arm for arm in arms if arm != control]
        self._slice_s = limits.window_s / SLICES
        self._slices: deque[tuple[int, dict[str, _Tally]]] = deque()

    def observe(self, arm: str, *, model_ms: float, score: float | None) -> None:
        """Count one score of `arm` that took `model_ms` milliseconds; a score of None is a failure."""
        at = int(self._now() / self._slice_s)
        if not self._slices or self._slices[-1][0] != at:
            self._slices.append((at, {}))
            self._forget(at)
        tallies = self._slices[-1][1]
        tally = tallies.get(arm)
        if tally is None:
            tally = tallies[arm] = _Tally()
        tally.tried += 1
        if score is None:
            tally.failed += 1
            return
        if model_ms > self._limits.slow_ms:
            tally.slow += 1
        tally.scores[bisect_right(SCORE_EDGES, score)] += 1

    def breaches(self) -> dict[str, Breach]:
        """The arms that break a limit now, each with the first it breaks."""
        self._forget(int(self._now() / self._slice_s))
        control = self._total(self._control)
        found = {}
        for arm in self._arms:
            if breach := self._breach(self._total(arm), control):
                found[arm] = breach
        return found

    def _forget(self, at: int) -> None:
        while self._slices and self._slices[0][0] <= at - SLICES:
            self._slices.popleft()

    def _total(self, arm: str) -> _Tally:
        total = _Tally()
        for _, tallies in self._slices:
            if arm in tallies:
                total.add(tallies[arm])
        return total

    def _breach(self, arm: _Tally, control: _Tally) -> Breach | None:
        limits = self._limits
        if arm.tried < limits.min_decisions:
            return None
        failed, usual = arm.share(arm.failed), control.share(control.failed)
        if failed > usual + limits.max_error_share:
            return Breach("errors", f"{failed:.1%} of {arm.tried} scores failed, {usual:.1%} of the control's")
        slow, usual = arm.share(arm.slow), control.share(control.slow)
        if slow > usual + limits.max_slow_share:
            took = f"took more than {limits.slow_ms:g} ms"
            return Breach("latency", f"{slow:.1%} of {arm.tried} scores {took}, {usual:.1%} of the control's")
        gap = _gap(arm.scores, control.scores, limits.min_decisions)
        if gap > limits.max_score_gap:
            limit = limits.max_score_gap
            return Breach("scores", f"distributions of scores are {gap:.2f} apart, more than {limit:g}")
        return None


def _gap(a: list[int], b: list[int], at_least: int) -> float:
    """Largest distance between two cumulative distributions; 0 where one of them has too few scores to tell."""
    total_a, total_b = sum(a), sum(b)
    if min(total_a, total_b) < at_least:
        return 0.0
    return max(abs(x / total_a - y / total_b) for x, y in zip(accumulate(a), accumulate(b), strict=True))
