"""Features of many requests at once: as `evaluate` does for one, but a column of numbers at a time. Hot path.

What the definitions keep as numbers is added up over the tiles of all requests in a few array operations; texts and
sets are looked at request by request, by the code that answers a single one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.semantics.events import EventRow
from lamina.semantics.reference import Value, derived
from lamina.store.evaluate import Evaluator, Span, TilingTiles, segments_of
from lamina.store.tiles import TileColumns

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ENTITY_MS = 2**43
"""More than any time in epoch milliseconds: the place of an entity times this, and a start, make one sorted number."""


@dataclass
class Sheet:
    """Tiles of one tiling of some entities, and for each request the place of its entity among them."""

    tiles: Sequence[TilingTiles]
    owner: Ints

    @cached_property
    def _parts(self) -> list[tuple[int, TileColumns]]:
        layers = ((u, c) for u, tiles in enumerate(self.tiles) for c in (tiles.batch, tiles.speed))
        return [(u, c) for u, c in layers if c is not None and len(c.starts)]

    @cached_property
    def keys(self) -> Ints:
        """int64[tiles], ascending: those of each entity follow those of the one before, its speed layer its batch
        layer.
        """
        if not self._parts:
            return np.empty(0, np.int64)
        starts = np.concatenate([_array(c.starts) for _, c in self._parts])
        owners = np.repeat([u for u, _ in self._parts], [len(c.starts) for _, c in self._parts])
        keys: Ints = np.add(starts, owners * ENTITY_MS, dtype=np.int64)
        return keys

    @cached_property
    def _numeric(self) -> dict[int, Floats]:
        return {}

    def numeric(self, place: int) -> Floats:
        """float64[tiles + 1], one numeric state of all tiles, and a 0 that none of them is."""
        found = self._numeric.get(place)
        if found is None:
            columns = [_array(c.numeric[place]) for _, c in self._parts]
            found = self._numeric[place] = np.concatenate([*columns, np.zeros(1)], dtype=np.float64)
        return found


def _array(column: Sequence[float]) -> NDArray[Any]:
    # NumPy would find the type of a view out anew each time, which takes longer than all else.
    return np.frombuffer(column, column.format) if type(column) is memoryview else np.asarray(column)


class Window:
    """The tiles of one window of every request, of a sheet, and of the requests themselves where they are folded in.

    Results are float64[requests].
    """

    def __init__(self, span: Span, sheet: Sheet, own: Sequence[Mapping[str, TileColumns]], at_ms: Ints) -> None:
        end = at_ms - at_ms % span.resolution_ms - span.delay_ms
        base = sheet.owner * ENTITY_MS
        self._sheet = sheet
        self._first = np.searchsorted(sheet.keys, base + end - span.window_ms, side="right")
        self._last = np.searchsorted(sheet.keys, base + end, side="right")
        self._empty = self._first >= self._last
        # Reduced from each index to the next: of the results every other is a window.
        self._bounds = np.stack((self._first, self._last), axis=1).ravel()
        self._own = [tiles[span.tiling] for tiles in own] if span.include_request else None
        self._sums: dict[int, Floats] = {}

    def _reduced(self, ufunc: np.ufunc, place: int, nothing: float) -> Floats:
        found: Floats = ufunc.reduceat(self._sheet.numeric(place), self._bounds)[::2]
        found[self._empty] = nothing
        return found

    def _of_requests(self, place: int) -> Floats:
        assert self._own is not None, "asked for only where requests are folded in"
        return np.array([tile.numeric[place][0] for tile in self._own])

    def sum(self, place: int) -> Floats:
        """The sum of a state."""
        found = self._sums.get(place)
        if found is None:
            found = self._reduced(np.add, place, 0.0)
            if self._own is not None:
                found = found + self._of_requests(place)
            self._sums[place] = found
        return found

    def least(self, place: int) -> Floats:
        """The smallest of a state; NaN without any."""
        return self._extreme(np.fmin, place)

    def most(self, place: int) -> Floats:
        """The largest of a state; NaN without any."""
        return self._extreme(np.fmax, place)

    def _extreme(self, ufunc: np.ufunc, place: int) -> Floats:
        found = self._reduced(ufunc, place, np.nan)
        return found if self._own is None else np.asarray(ufunc(found, self._of_requests(place)), np.float64)

    def mean(self, count: int, total: int) -> Floats:
        """Sum by count; NaN where nothing was counted."""
        n = self.sum(count)
        return _quotient(self.sum(total), n)

    def std(self, count: int, total: int, m2: int) -> Floats:
        """Population standard deviation; NaN where nothing was counted."""
        n, mean = self.sum(count), self.mean(count, total)
        lengths = np.where(self._empty, 0, self._last - self._first)
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1]) + np.repeat(self._first - (ends - lengths), lengths)
        request = np.repeat(np.arange(len(n)), lengths)
        parts = _squares([self._sheet.numeric(place)[places] for place in (count, total, m2)], mean[request])
        squares = np.bincount(request, parts, minlength=len(n)).astype(np.float64)
        if self._own is not None:
            squares += _squares([self._of_requests(place) for place in (count, total, m2)], mean)
        return np.sqrt(_quotient(squares, n))


def _quotient(top: Floats, n: Floats) -> Floats:
    """`top` by `n`, NaN where nothing was counted."""
    found = np.full(len(n), np.nan)
    np.divide(top, n, out=found, where=n > 0)
    return found


def _squares(tiles: Sequence[Floats], mean: Floats) -> Floats:
    """Squared deviations from `mean` of the values behind tiles with these counts, sums and squares of their own (Chan
    et al. 1979).
    """
    n, total, m2 = tiles
    return np.where(n > 0, m2 + n * (_quotient(total, n) - mean) ** 2, 0.0)


_COLUMNS: dict[str, Callable[..., Floats]] = {
    "count": Window.sum,
    "total": Window.sum,
    "mean": Window.mean,
    "std": Window.std,
    "minimum": Window.least,
    "maximum": Window.most,
    "first_time": Window.least,
    "last_time": Window.most,
}
"""The aggregates that are answered for all requests in one go, by the places of their states."""


class ColumnarEvaluator:
    """Answers every feature of a plan for many requests, as `Evaluator` does for each of them."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def values(
        self, sheets: Mapping[str, Sheet], requests: Sequence[EventRow], at_ms: Sequence[int]
    ) -> list[dict[str, Value]]:
        """Every feature of each request at its time.

        Args: sheets: by `Tiling.key`, of all tilings. requests: the events being scored. at_ms: when, one each.
        """
        own = [self._evaluator.own_tiles(request, at) for request, at in zip(requests, at_ms, strict=True)]
        times = np.array(at_ms, np.int64)
        windows: dict[Span, Window] = {}
        columns: list[list[Any]] = []
        for q in self._evaluator.questions:
            sheet, finish = sheets[q.span.tiling], _COLUMNS.get(q.kind)
            if finish is None:
                tiles = (sheet.tiles[u] for u in sheet.owner)
                columns.append(
                    [
                        q.finish(segments_of(q.span, of_entity, of_request, at), at)
                        for of_entity, of_request, at in zip(tiles, own, at_ms, strict=True)
                    ]
                )
                continue
            window = windows.get(q.span)
            if window is None:
                window = windows[q.span] = Window(q.span, sheet, own, times)
            columns.append(_present(finish(window, *q.places)))
        features, names = self._evaluator.features, [q.name for q in self._evaluator.questions]
        found: list[dict[str, Value]] = []
        for request, at, values in zip(requests, at_ms, zip(*columns, strict=True), strict=True):
            row: dict[str, Value] = dict(zip(names, values, strict=True))
            found.append(row | derived(features, row, request, at))
        return found


def _present(column: Floats) -> list[float | None]:
    """Numbers, None in place of NaN."""
    found: list[float | None] = column.tolist()
    for place in np.flatnonzero(np.isnan(column)):
        found[place] = None
    return found
