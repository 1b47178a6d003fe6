"""Features of many requests at once: as `evaluate` does for one, but a column of numbers at a time. Hot path.

What the definitions keep as numbers is added up over the tiles of all requests in a few array operations; texts and
sets are looked at request by request, by the code that answers a single one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from math import nan
from typing import Any

import numpy as np

from lamina.contracts.features import Chosen, Elapsed, Membership, Ratio
from lamina.semantics.events import EventRow, request_value, value_of
from lamina.semantics.reference import Value
from lamina.store.evaluate import Evaluator, Question, Segments, Span, segments_of
from lamina.store.sheet import ENTITY_MS, Floats, Ints, Sheet, spread
from lamina.store.tiles import TileColumns


class WindowColumns:
    """One window of every request: its tiles in a sheet, and the request itself where the view includes it.

    Results are float64[requests].
    """

    def __init__(self, span: Span, sheet: Sheet, own: Sequence[Mapping[str, TileColumns]], at_ms: Ints) -> None:
        self._sheet, self._at_ms = sheet, at_ms
        ends, self._last = sheet.end(span.resolution_ms, span.delay_ms, at_ms)
        self._first = np.searchsorted(sheet.keys, ends - span.window_ms, side="right")
        self._empty = self._first >= self._last
        # Reduced from each index to the next: of the results every other is a window.
        self._bounds = np.stack((self._first, self._last), axis=1).ravel()
        self._own = [tiles[span.tile_spec] for tiles in own] if span.include_request else None
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
        places, request = self._tiles
        parts = _squares([self._sheet.numeric(place)[places] for place in (count, total, m2)], mean[request])
        squares = np.bincount(request, parts, minlength=len(n)).astype(np.float64)
        if self._own is not None:
            squares += _squares([self._of_requests(place) for place in (count, total, m2)], mean)
        return np.sqrt(_quotient(squares, n))

    def decayed(self, place: int, half_life_ms: int) -> Floats:
        """A count of which a tile's part halves with each half-life that it lies back."""
        places, request = self._tiles
        age_ms = self._at_ms[request] - self._sheet.keys[places] % ENTITY_MS
        parts = self._sheet.numeric(place)[places] * np.exp2(-age_ms / half_life_ms)
        found = np.bincount(request, parts, minlength=len(self._at_ms)).astype(np.float64)
        if self._own is not None:
            own_ms = self._at_ms - np.array([tile.starts[0] for tile in self._own], np.int64)
            found += self._of_requests(place) * np.exp2(-own_ms / half_life_ms)
        return found

    @cached_property
    def _tiles(self) -> tuple[Ints, Ints]:
        """The places of all tiles in the windows, and for each the request whose window it is in."""
        lengths = np.where(self._empty, 0, self._last - self._first)
        return spread(self._first, lengths), np.repeat(np.arange(len(lengths)), lengths)


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
    "count": WindowColumns.sum,
    "total": WindowColumns.sum,
    "mean": WindowColumns.mean,
    "std": WindowColumns.std,
    "minimum": WindowColumns.least,
    "maximum": WindowColumns.most,
    "first_time": WindowColumns.least,
    "last_time": WindowColumns.most,
}
"""The aggregates that are answered for all requests in one go, by the places of their states."""


class ColumnarEvaluator:
    """Answers every feature of a plan for many requests, as `Evaluator` does for each of them."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._all = frozenset(evaluator.features.names)

    def values(
        self, sheets: Mapping[str, Sheet], requests: Sequence[EventRow], at_ms: Sequence[int]
    ) -> list[dict[str, Value]]:
        """Every feature of each request at its time.

        Args: sheets: by `TileSpec.key`, of all tile specs. requests: the events being scored. at_ms: when, one each.
        """
        names = self._evaluator.features.names
        found = Columns()
        self.add_windows(found, self._evaluator.questions, sheets, requests, at_ms)
        self.add_derived(found, self._all, requests, at_ms)
        columns = [found.values(name) for name in names]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def add_derived(
        self, found: Columns, names: Collection[str], requests: Sequence[EventRow], at_ms: Sequence[int]
    ) -> None:
        """Add to `found` those of `names` that follow from the windows in it and from the requests."""
        features, times = self._evaluator.features, np.array(at_ms, np.int64)
        for own in features.request_features:
            if own.name in names:
                each = zip(requests, at_ms, strict=True)
                found.add(own.name, [request_value(own, request, at) for request, at in each])
        asked = _RequestColumns(requests)
        for chosen in features.chosen:
            if chosen.name in names:
                found.add_numbers(chosen.name, _chosen(chosen, found, asked[chosen.column]))
        for membership in features.memberships:
            if membership.name in names:
                found.add_numbers(membership.name, _membership(membership, found, asked[membership.column]))
        for ratio in features.ratios:
            if ratio.name in names:
                found.add_numbers(ratio.name, _ratio(ratio, found))
        for elapsed in features.elapsed:
            if elapsed.name in names:
                found.add_numbers(elapsed.name, _elapsed(elapsed, found, times))

    def add_windows(
        self,
        found: Columns,
        questions: Iterable[Question],
        sheets: Mapping[str, Sheet],
        requests: Sequence[EventRow],
        at_ms: Sequence[int],
    ) -> None:
        """Add the answers to `questions` to `found`; `sheets` are those of their tile specs."""
        times = np.array(at_ms, np.int64)
        own = [self._evaluator.own_tiles(request, at) for request, at in zip(requests, at_ms, strict=True)]
        windows, segments = dict[Span, WindowColumns](), dict[Span, list[Segments]]()
        for q in questions:
            sheet = sheets[q.span.tile_spec]
            finish = _COLUMNS.get(q.kind)
            if finish or q.half_life_ms:
                window = windows.get(q.span)
                if window is None:
                    window = windows[q.span] = WindowColumns(q.span, sheet, own, times)
                column = finish(window, *q.places) if finish else window.decayed(q.places[0], q.half_life_ms)
                found.add_numbers(q.name, column)
                continue
            each = segments.get(q.span)
            if each is None:
                tiles = (sheet.tiles[u] for u in sheet.owner)
                each = segments[q.span] = [segments_of(q.span, *one) for one in zip(tiles, own, at_ms, strict=True)]
            found.add(q.name, [q.finish(one, at) for one, at in zip(each, at_ms, strict=True)])


class Columns:
    """Features of all requests by name, each as values or as numbers, NaN where one is missing; the other is made once
    it is asked for.
    """

    def __init__(self) -> None:
        self._lists: dict[str, list[Any]] = {}
        self._numbers: dict[str, Floats] = {}

    def add(self, name: str, values: list[Any]) -> None:
        """Add a feature by its values."""
        self._lists[name] = values

    def add_numbers(self, name: str, column: Floats) -> None:
        """Add a feature by its numbers, float64[requests]."""
        self._numbers[name] = column

    def values(self, name: str) -> list[Any]:
        """The values of a feature, None where one is missing."""
        found = self._lists.get(name)
        if found is None:
            column = self._numbers[name]
            found = self._lists[name] = column.tolist()
            for place in np.flatnonzero(np.isnan(column)):
                found[place] = None
        return found

    def numbers(self, name: str) -> Floats:
        """The numbers of a feature, float64[requests]."""
        found = self._numbers.get(name)
        if found is None:
            values = (nan if value is None else value for value in self._lists[name])
            found = self._numbers[name] = np.array(list(values), np.float64)
        return found


class _RequestColumns(dict[str, list[object]]):
    """Columns of requests by name, each looked up once."""

    def __init__(self, requests: Sequence[EventRow]) -> None:
        super().__init__()
        self._requests = requests

    def __missing__(self, column: str) -> list[object]:
        found = self[column] = [value_of(request, column) for request in self._requests]
        return found


def _chosen(definition: Chosen, found: Columns, asked: Sequence[object]) -> Floats:
    """As `reference.chosen`, of requests whose column is `asked`."""
    default = nan if definition.default is None else definition.default
    # A row a value of the column, the last for all other values.
    table = np.array([*(found.numbers(part) for part in definition.of.values()), np.full(len(asked), default)])
    row: dict[object, int] = {value: at for at, value in enumerate(definition.of)}
    rows = np.array([row.get(value, -1) for value in asked], np.int64)
    picked: Floats = table[rows, np.arange(len(asked))]
    return picked


def _membership(definition: Membership, found: Columns, asked: Sequence[object]) -> Floats:
    """As `reference.membership`, of requests whose column is `asked`."""
    lists = found.values(definition.of)
    # Of one who asks with many candidates there is one list.
    sets = {place: set(held) for place, held in {id(held): held for held in lists}.items()}
    each = zip(asked, lists, strict=True)
    return np.array([nan if value is None else value in sets[id(held)] for value, held in each], np.float64)


def _ratio(definition: Ratio, found: Columns) -> Floats:
    """As `reference.ratio`."""
    top, bottom = found.numbers(definition.numerator), found.numbers(definition.denominator)
    column = np.full(len(top), nan if definition.default is None else definition.default)
    with np.errstate(over="ignore"):  # infinity, as Python's own division says
        np.divide(top, bottom, out=column, where=(bottom != 0) & ~np.isnan(bottom) & ~np.isnan(top))
    return column


def _elapsed(definition: Elapsed, found: Columns, times: Ints) -> Floats:
    """As `reference.elapsed`."""
    until = times if definition.until is None else found.numbers(definition.until)
    seconds: Floats = (until - found.numbers(definition.since)) / 1000
    return seconds
