"""Windowed aggregates of sorted arrays: the arithmetic of point-in-time features, without an engine.

Hot path: whole columns at a time. With events sorted by (entity, time) every window is one interval `[lo, hi)` of
positions, so no aggregate ever visits the events of a window one by one: an entity with a million events costs n log n,
where a sliding frame would cost their square.

Sums, extremes and deviations come from a *segment tree*: a binary tree over the positions in which every node holds
what the two below it give together. A window of n events is at most 2 log2(n) of its nodes, here `[1, 7)` of eight:

    level 3                    0..7
    level 2         0..3                  4..7
    level 1    0..1      [2..3]      [4..5]      6..7       the window is the four nodes in brackets:
    level 0    0   [1]   2   3       4   5     [6]   7      1, then 6, then 2 to 3, then 4 to 5
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lamina.contracts.features import WindowFeature

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Hashes = NDArray[np.uint64]
Parts = tuple[Floats, ...]
Merge = Callable[[Parts, Parts], Parts]
LONG_AGO = -1e15
"""Epoch ms, before every event; finite, so that differences of it are numbers."""
ALL_HASHES = 2**64 - 1


@dataclass(frozen=True)
class QueryRows:
    """Entities and the times at which they are asked about, sorted by both.

    Args: entity: int64[m], codes as those of the events; at: int64[m], epoch ms.
    """

    entity: Ints
    at: Ints


@dataclass(frozen=True)
class Timeline:
    """Events of many entities, sorted by entity then time.

    Args: entity: int64[n], codes from 0; ts: int64[n], epoch ms.
    """

    entity: Ints
    ts: Ints

    def windows(self, feature: WindowFeature, queries: QueryRows) -> Windows:
        """The window of each query row, as `lamina.semantics.reference.in_window` defines it."""
        return Windows(self.begins(feature, queries), self.stops(feature, queries))

    def begins(self, feature: WindowFeature, queries: QueryRows) -> Ints:
        """Where the window of each query row begins."""
        resolution = feature.resolution.ms
        # floor(ts) > end - window: floors are multiples of the resolution, so this bounds ts itself.
        end = queries.at - queries.at % resolution - feature.view.delay.ms
        return self._position(queries.entity, end - feature.window.ms + resolution)

    def stops(self, feature: WindowFeature, queries: QueryRows) -> Ints:
        """Where the windows of each query row end, whatever their length."""
        at, resolution, view = queries.at, feature.resolution.ms, feature.view
        if view.delay.s:
            return self._position(queries.entity, at - at % resolution - view.delay.ms + resolution)
        return self._position(queries.entity, at + 1 if view.include_request else at)

    def among(self, present: Flags) -> Timeline:
        """Only the events that `present` keeps."""
        return Timeline(self.entity[present], self.ts[present])

    def _position(self, entity: Ints, ts: Ints) -> Ints:
        """Of each (entity, ts), the first event that is not before it."""
        if not len(self.ts):
            return np.zeros(len(ts), np.int64)
        base, span, places = self._places
        offset = np.clip(ts - base, 0, span - 1)
        return np.asarray(np.searchsorted(places, entity * span + offset), np.int64)

    @cached_property
    def _places(self) -> tuple[int, int, Ints]:
        """Entity and time as one ascending number, `entity * span + (ts - base)`: base, span, and int64[n] of events.

        `base` is the earliest time and `span` one more than the distance to the latest, so that entities never overlap.
        """
        base = int(self.ts.min())
        span = int(self.ts.max()) - base + 2
        return base, span, self.entity * span + (self.ts - base)


def order_of(entity: Ints, ts: Ints) -> Ints:
    """Positions that sort by entity, then by time, ties as they stand.

    Events mostly come in the order of time, and codes are small: sorting by 16 bits at a time is a pass over the data.

    Args: entity: int64[n], codes from 0; ts: int64[n].
    """
    order = np.arange(len(ts)) if not np.any(ts[1:] < ts[:-1]) else np.argsort(ts, kind="stable")
    most = int(entity.max()) if len(entity) else 0
    for shift in range(0, most.bit_length(), 16):
        digit = (entity[order] >> shift).astype(np.uint16)
        order = order[np.argsort(digit, kind="stable")]
    return order


@dataclass(frozen=True)
class Windows:
    """Intervals `[lo, hi)` of positions; both ends never decrease."""

    lo: Ints
    hi: Ints

    def among(self, present: Flags) -> Windows:
        """The same windows as positions among the events that `present` keeps."""
        if present.all():
            return self
        before = np.concatenate(([0], np.cumsum(present)))
        return Windows(before[self.lo], before[self.hi])

    @property
    def n(self) -> Ints:
        """Events in each window."""
        return np.asarray(np.maximum(self.hi - self.lo, 0), np.int64)

    def first(self) -> tuple[Ints, Flags]:
        """Position of each window's first event, and whether there is one."""
        return self.lo, self.lo < self.hi

    def last(self) -> tuple[Ints, Flags]:
        """Position of each window's last event, and whether there is one."""
        return self.hi - 1, self.lo < self.hi

    def newest(self, k: int) -> tuple[Ints, Ints]:
        """Positions of each window's last `k` events, newest first, one window after the other, and where each begins
        among them (one number more than windows).
        """
        begins = np.concatenate(([0], np.cumsum(np.minimum(self.n, k))))
        own = np.diff(begins)
        turn = np.arange(begins[-1]) - np.repeat(begins[:-1], own)
        return np.repeat(self.hi - 1, own) - turn, begins


def total(windows: Windows, values: Floats) -> Floats:
    """Sum of each window, 0 of an empty one."""
    return _reduce(windows, (values,), (0.0,), lambda a, b: (a[0] + b[0],))[0]


def minimum(windows: Windows, values: Floats) -> Floats:
    """Smallest value of each window, infinity of an empty one."""
    return _reduce(windows, (values,), (np.inf,), lambda a, b: (np.minimum(a[0], b[0]),))[0]


def maximum(windows: Windows, values: Floats) -> Floats:
    """Largest value of each window, minus infinity of an empty one."""
    return _reduce(windows, (values,), (-np.inf,), lambda a, b: (np.maximum(a[0], b[0]),))[0]


def std(windows: Windows, values: Floats) -> Floats:
    """Population standard deviation of each window, 0 of an empty one."""
    parts = (np.ones(len(values)), values, np.zeros(len(values)))
    n, _, m2 = _reduce(windows, parts, (0.0, 0.0, 0.0), _merge_moments)
    return np.asarray(np.sqrt(m2 / np.maximum(n, 1.0)))


def distinct(windows: Windows, entity: Ints, values: Ints) -> Ints:
    """Number of different values in each window.

    Of each value only the last occurrence within a window is counted: event i counts for the windows that hold i and
    end before the next event with the same value. As both ends of the windows never decrease, these are neighbours, and
    one is added to all of them by two entries in an array of differences, summed at the end.

    Args: entity, values: int64[n], codes of each event.
    """
    n, m = len(values), len(windows.lo)
    following = np.full(n, n, np.int64)
    order = np.lexsort((values, entity))
    same = (np.diff(values[order]) == 0) & (np.diff(entity[order]) == 0)
    following[order[:-1][same]] = order[1:][same]
    position = np.arange(n)
    begin = np.searchsorted(windows.hi, position, side="right")
    end = np.minimum(
        np.searchsorted(windows.lo, position, side="right"), np.searchsorted(windows.hi, following, side="right")
    )
    counted = begin < end
    steps = np.bincount(begin[counted], minlength=m + 1) - np.bincount(end[counted], minlength=m + 1)
    return np.cumsum(steps)[:m].astype(np.int64)


def session(windows: Windows, timeline: Timeline, queries: QueryRows, gap_ms: int) -> Ints:
    """Events of each window in the session that goes on at its time.

    Args: timeline: of the events that the windows count.
    """
    last, exists = windows.last()
    if not len(timeline.ts):
        return np.zeros(len(last), np.int64)
    begins = np.ones(len(timeline.ts), bool)
    begins[1:] = (np.diff(timeline.ts) > gap_ms) | (np.diff(timeline.entity) != 0)
    first = np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))
    last = np.where(exists, last, 0)
    going_on = exists & (queries.at - timeline.ts[last] <= gap_ms)
    return np.where(going_on, windows.hi - np.maximum(windows.lo, first[last]), 0)


def decayed(windows: Windows, ts: Ints, at: Ints, half_life_ms: int) -> Floats:
    """Sum of 2^(-(at - ts) / half-life) of each window, asked for at `at`."""
    times = ts.astype(np.float64)

    def merge(a: Parts, b: Parts) -> Parts:
        newest = np.maximum(a[1], b[1])
        earlier, later = (p[0] * np.exp2((p[1] - newest) / half_life_ms) for p in (a, b))
        return earlier + later, newest

    # A sum is as of its newest event, so that no power is above one; nothing is as of a time long before all others.
    found, newest = _reduce(windows, (np.ones(len(times)), times), (0.0, LONG_AGO), merge)
    return np.asarray(found * np.exp2((newest - at) / half_life_ms))


def smallest(windows: Windows, hashes: Hashes, different: Ints, k: int) -> Hashes:
    """The `k`-th smallest different hash of each window.

    Hashes are uniform, so of a window with d different values about 4k lie below 4k/d of the range of hashes. Only
    those are sorted; where by chance fewer than k are found, the bound is doubled.

    Args: hashes: uint64[n], of each event; different: number of different values in each window, at least `k`.
    """
    found = np.zeros(len(windows.lo), np.uint64)
    halvings = np.floor(np.log2(np.maximum(different / (4 * k), 1.0))).astype(int)
    for shift in range(int(halvings.max(initial=0)), -1, -1):
        rows = np.flatnonzero(halvings == shift)
        low = hashes <= np.uint64(ALL_HASHES >> shift)
        among, own = windows.among(low), hashes[low]
        for row in rows:
            values = np.unique(own[among.lo[row] : among.hi[row]])
            if len(values) >= k:
                found[row] = values[k - 1]
            else:  # an unlikely share of large hashes: look at twice as many
                halvings[row] -= 1
    return found


def _merge_moments(a: Parts, b: Parts) -> Parts:
    """(n, sum, sum of squared deviations) of two disjoint sets together (Chan, Golub and LeVeque 1979)."""
    n = a[0] + b[0]
    gap = a[1] / np.maximum(a[0], 1.0) - b[1] / np.maximum(b[0], 1.0)
    return n, a[1] + b[1], a[2] + b[2] + gap * gap * a[0] * b[0] / np.maximum(n, 1.0)


def _reduce(windows: Windows, leaves: Parts, neutral: tuple[float, ...], merge: Merge) -> Parts:
    """Every window reduced by a segment tree, drawn at the head of this module, for all windows at once.

    The tree is climbed from its leaves, one level a step, and only the level in hand is kept. On each level a window
    takes its first node if that is a right child, and its last if that is a left one: their parents would reach beyond
    it. What is left of it is whole parents. Nothing is subtracted, unlike with running sums, so no digits cancel.

    Args: leaves: float64[n], one array a part of a state; neutral: the parts of nothing; merge: two states into one.
    Returns: float64[windows], one array a part.

    >>> _reduce(Windows(np.array([1]), np.array([7])), (np.arange(8.0),), (0.0,), lambda a, b: (a[0] + b[0],))
    (array([21.]),)
    """
    m = len(windows.lo)
    found = tuple(np.full(m, x) for x in neutral)
    open_ = np.flatnonzero(windows.lo < windows.hi)
    lo, hi = windows.lo[open_], windows.hi[open_]
    level = leaves
    while len(open_):
        for take, at in ((lo & 1 == 1, lo), (hi & 1 == 1, hi - 1)):
            rows = open_[take]
            merged = merge(tuple(f[rows] for f in found), tuple(x[at[take]] for x in level))
            for f, x in zip(found, merged, strict=True):
                f[rows] = x
        lo, hi = (lo + 1) >> 1, hi >> 1
        going = lo < hi
        open_, lo, hi = open_[going], lo[going], hi[going]
        if len(level[0]) % 2:
            level = tuple(np.append(x, e) for x, e in zip(level, neutral, strict=True))
        level = merge(tuple(x[::2] for x in level), tuple(x[1::2] for x in level))
    return found
