"""From tiles to feature values. Hot path: what depends on the definitions alone is resolved once, at start-up."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import filterfalse
from math import isnan, sqrt
from typing import NamedTuple

from lamina.contracts.features import FeatureSet, WindowFeature
from lamina.semantics.events import EventRow
from lamina.semantics.plan import Plan, State, TileSpec, states_of
from lamina.semantics.reference import Value, derived
from lamina.semantics.sketch import different
from lamina.semantics.states import PART_SEPARATOR
from lamina.store.sparse import numbers_of, texts_of
from lamina.store.tiles import TileColumns, tile_of_event

Segment = tuple[TileColumns, int, int]
"""Tiles `[i, j)` of some columns."""


class Segments(list[Segment]):
    """The tiles of one window, oldest first, and the sums of them that some feature has asked for, by place."""

    __slots__ = ("sums",)

    def __init__(self) -> None:
        super().__init__()
        self.sums: dict[int, float] = {}


Finish = Callable[[Segments, int], Value]
"""From a window's tiles and the time asked for, epoch ms."""


@dataclass
class SpecTiles:
    """All tiles of one entity under one tile_spec: of the batch layer, of the speed layer, and of the request alone."""

    batch: TileColumns | None = None
    speed: TileColumns | None = None
    request: TileColumns | None = None


class Span(NamedTuple):
    """A window of a tile spec, which several features may ask about."""

    tile_spec: str
    window_ms: int
    delay_ms: int
    resolution_ms: int
    include_request: bool


class Question(NamedTuple):
    """A feature of a window, resolved: which tiles answer it, where in them its states are, how they are finished.

    span_at: place of the span in `Evaluator.spans`. half_life_ms: of a decayed count; 0 of others.
    """

    name: str
    span: Span
    span_at: int
    kind: str
    places: tuple[int, ...]
    finish: Finish
    half_life_ms: int = 0


class Evaluator:
    """Answers every feature of a plan from the tiles of the entities that a request names."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.features: FeatureSet = plan.features
        spans: dict[Span, int] = {}
        self.questions = [_question(plan, f, spans) for f in plan.features.window_features]
        self.spans = tuple(spans)
        wanted: dict[TileSpec, set[State]] = {}
        for f in (f for f in plan.features.window_features if f.view.include_request):
            wanted.setdefault(plan.tile_spec_of(f), set()).update(states_of(f.aggregate))
        self._of_request = [(t, tile_of_event(t, states)) for t, states in wanted.items()]

    def own_tiles(self, request: EventRow, at_ms: int) -> dict[str, TileColumns]:
        """The tile of the request alone, by `TileSpec.key` of those that some view folds it into."""
        return {t.key: tile(request, t.start_ms(at_ms)) for t, tile in self._of_request}

    def values(self, tiles: Mapping[str, SpecTiles], request: EventRow, at_ms: int) -> dict[str, Value]:
        """Every feature at `at_ms`.

        Args: tiles: by `TileSpec.key`, for the entities that `request` names; absent ones have no events. request: the
        event being scored, folded into the views that include it.
        """
        own = self.own_tiles(request, at_ms)
        windows = [segments_of(span, tiles.get(span.tile_spec), own, at_ms) for span in self.spans]
        found: dict[str, Value] = {name: finish(windows[at], at_ms) for name, _, at, _, _, finish, _ in self.questions}
        found.update(derived(self.features, found, request, at_ms))
        return found


def segments_of(span: Span, tiles: SpecTiles | None, own: Mapping[str, TileColumns], at_ms: int) -> Segments:
    """The tiles of `span` at `at_ms`; where the view includes the request, its own tile, from `own`, as well."""
    found = Segments()
    if tiles is not None:
        end = at_ms - at_ms % span.resolution_ms - span.delay_ms
        begin = end - span.window_ms
        for columns in (tiles.batch, tiles.speed):
            if columns is not None and (starts := columns.starts):
                # Most windows end behind the newest tile.
                j = len(starts) if starts[-1] <= end else bisect_right(starts, end)
                i = bisect_right(starts, begin, 0, j)
                if i < j:
                    found.append((columns, i, j))
    if span.include_request:
        found.append((own[span.tile_spec], 0, 1))
    return found


def _question(plan: Plan, feature: WindowFeature, spans: dict[Span, int]) -> Question:
    view, tile_spec = feature.view, plan.tile_spec_of(feature)
    places = tuple(_place(tile_spec, s) for s in states_of(feature.aggregate))
    span = Span(tile_spec.key, feature.window.ms, view.delay.ms, feature.resolution.ms, view.include_request)
    span_at = spans.setdefault(span, len(spans))
    half_life, finish = feature.aggregate.half_life, _finisher(tile_spec, feature, places)
    half_life_ms = half_life.ms if half_life else 0
    return Question(feature.name, span, span_at, feature.aggregate.kind, places, finish, half_life_ms)


def _finisher(tile_spec: TileSpec, feature: WindowFeature, at: Sequence[int]) -> Finish:
    aggregate = feature.aggregate
    own, *_ = at
    is_text = tile_spec.source.columns.get(aggregate.column or "") == "string"
    match aggregate.kind:
        case "count" | "total":
            return lambda segments, _: _sum(segments, own)
        case "mean":
            return lambda segments, _: _mean(segments, *at)
        case "std":
            return lambda segments, _: _std(segments, *at)
        case "minimum":
            return lambda segments, _: _extreme(segments, own, min)
        case "maximum":
            return lambda segments, _: _extreme(segments, own, max)
        case "first_time":
            return lambda segments, _: min(_outer(segments, own, newest=False), default=None)
        case "last_time":
            return lambda segments, _: max(_outer(segments, own, newest=True), default=None)
        case "first" | "last":
            choose = min if aggregate.kind == "first" else max
            return lambda segments, _: _text(choose(_texts(segments, own), default=None), is_text)
        case "last_k":
            k = aggregate.k
            assert k, "last_k says how many values it holds"
            return lambda segments, _: _newest(segments, own, k, is_text)
        case "distinct":
            cap = aggregate.cap
            assert cap, "distinct says how many values it counts exactly"
            return lambda segments, _: different(_union(segments, own), cap)
        case "session_count":
            assert aggregate.gap, "a session has a gap"
            gap_ms = aggregate.gap.ms
            return lambda segments, at_ms: _session(segments, at, gap_ms, at_ms)
        case "decayed_count":
            assert aggregate.half_life, "a decayed count has a half-life"
            half_life_ms = aggregate.half_life.ms
            return lambda segments, at_ms: _decayed(segments, own, half_life_ms, at_ms)


def _place(tile_spec: TileSpec, state: State) -> int:
    if state in tile_spec.keyed:
        return tile_spec.keyed.index(state)
    return [s for s in tile_spec.states if s.numeric == state.numeric].index(state)


def _sum(segments: Segments, at: int) -> float:
    found = segments.sums.get(at)
    if found is None:
        found = 0.0
        for c, i, j in segments:
            found += sum(c.numeric[at][i:j])
        segments.sums[at] = found
    return found


def _mean(segments: Segments, count_at: int, sum_at: int) -> float | None:
    n = _sum(segments, count_at)
    return _sum(segments, sum_at) / n if n else None


def _std(segments: Segments, count_at: int, sum_at: int, m2_at: int) -> float | None:
    n = _sum(segments, count_at)
    if not n:
        return None
    mean = _sum(segments, sum_at) / n
    m2 = 0.0
    for c, i, j in segments:
        parts = zip(c.numeric[count_at][i:j], c.numeric[sum_at][i:j], c.numeric[m2_at][i:j], strict=True)
        m2 += sum([own_m2 + own * (own_sum / own - mean) ** 2 for own, own_sum, own_m2 in parts if own])
    return sqrt(m2 / n)


def _extreme(segments: Segments, at: int, choose: Callable[[Iterable[float]], float]) -> float | None:
    found = []
    for c, i, j in segments:
        chosen = choose(c.numeric[at][i:j])
        if chosen != chosen:
            # Where the first is missing no other is chosen.
            present = list(filterfalse(isnan, c.numeric[at][i:j]))
            if not present:
                continue
            chosen = choose(present)
        found.append(chosen)
    # A column that equals the event counts is one of whole numbers.
    return float(choose(found)) if found else None


def _outer(segments: Segments, at: int, *, newest: bool) -> Iterator[float]:
    """The newest or the oldest time in each segment: times ascend from tile to tile."""
    for c, i, j in segments:
        column = c.numeric[at]
        for tile in range(j - 1, i - 1, -1) if newest else range(i, j):
            if (time := column[tile]) == time:
                yield time
                break


def _texts(segments: Segments, at: int) -> list[str]:
    return [x for c, i, j in segments for x in texts_of(c.texts[at], i, j) if x is not None]


def _text(chosen: str | None, is_text: bool) -> Value:
    if chosen is None:
        return None
    value = chosen.split(PART_SEPARATOR, 2)[2]
    return value if is_text else float(value)


def _union(segments: Segments, at: int) -> set[int]:
    found: set[int] = set()
    for c, i, j in segments:
        column = c.sets[at]
        if type(column) is list and j - i > 1:
            # Most hashes are in many tiles, above all in those that were added up: told apart before they are read.
            found.update([int(value, 16) for value in set().union(*column[i:j])])
        else:
            found.update(numbers_of(column, i, j))
    return found


def _newest(segments: Segments, at: int, k: int, is_text: bool) -> Value:
    """The newest `k` values. Tiles are visited from the newest on; only those of one start can hold equal times."""
    found: list[str] = []
    oldest = 0
    for c, i, j in reversed(segments):
        for tile in range(j - 1, i - 1, -1):
            if len(found) >= k and c.starts[tile] < oldest:
                break
            oldest = c.starts[tile]
            found.extend(c.sets[at][tile])
    values = [text.split(PART_SEPARATOR, 2)[2] for text in sorted(found, reverse=True)[:k]]
    return values if is_text else [float(value) for value in values]


def _session(segments: Segments, at: Sequence[int], gap_ms: int, at_ms: int) -> float:
    """Events from the newest back to the first gap; within a tile there is none, as a gap is no shorter than it."""
    n, begin = 0.0, float(at_ms)
    for c, i, j in reversed(segments):
        counts, firsts, lasts = (c.numeric[k] for k in at)
        for tile in range(j - 1, i - 1, -1):
            if not counts[tile]:
                continue
            if begin - lasts[tile] > gap_ms:
                return n
            n, begin = n + counts[tile], min(begin, firsts[tile])
    return n


def _decayed(segments: Segments, at: int, half_life_ms: int, at_ms: int) -> float:
    found = 0.0
    for c, i, j in segments:
        own, starts = c.numeric[at], c.starts
        for tile in range(i, j):
            found += own[tile] * 2.0 ** ((starts[tile] - at_ms) / half_life_ms)
    return found
