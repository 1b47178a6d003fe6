"""Tiles of a coarser tile spec out of the speed layer's finer ones, which hold all of its states. Hot path."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, filterfalse, groupby
from math import isnan, nan

from lamina.semantics.plan import MISSING_IS_NAN, State, TileSpec
from lamina.store.tiles import SpeedTiles, TileColumns

IndexRange = tuple[int, int]
"""Tiles `[i, j)` of the finer tile spec that make one of the coarser."""
Merge = Callable[[TileColumns, IndexRange], float]


@dataclass
class RolledUp:
    """Tiles of a tile spec; `seen`: their events; `keyed_seen`: events, of a hot entity values, that the fields of each
    counted state hold.
    """

    tiles: TileColumns
    seen: int
    keyed_seen: tuple[int, ...]


class Rollup:
    """Makes the tiles of `tile_spec` from those of `speed`; where both have one resolution, it only picks columns."""

    def __init__(self, tile_spec: TileSpec, speed: TileSpec) -> None:
        self._ms = tile_spec.resolution.ms
        self._same = tile_spec.resolution == speed.resolution
        numeric = [s for s in speed.states if s.numeric]
        texts = [s for s in speed.states if not s.numeric]
        self._numeric = [numeric.index(s) for s in tile_spec.states if s.numeric]
        self._texts = [texts.index(s) for s in tile_spec.states if not s.numeric]
        self._sets = [speed.keyed.index(s) for s in tile_spec.keyed]
        self._counted = [k for k, s in zip(self._sets, tile_spec.keyed, strict=True) if speed.counts_apart(s)]
        self._merges = [_merge(s, numeric, self._ms) for s in tile_spec.states if s.numeric]
        self._choose = [_earliest if s.kind == "first" else _latest for s in tile_spec.states if not s.numeric]

    def __call__(self, found: SpeedTiles, from_ms: int) -> RolledUp:
        """The tiles that start at or after `from_ms`, a start of both tile specs."""
        columns = found.tiles
        first, end = bisect_left(columns.starts, from_ms), len(columns.starts)
        keyed_seen = tuple(sum(found.keyed_n[k][first:]) for k in self._counted)
        tiles = self._chosen(columns, first) if self._same else self._merged(columns, self._spans(columns, first, end))
        return RolledUp(tiles, sum(columns.n[first:]), keyed_seen)

    def _chosen(self, columns: TileColumns, first: int) -> TileColumns:
        return TileColumns(
            columns.starts[first:],
            columns.n[first:],
            [columns.numeric[k][first:] for k in self._numeric],
            [columns.texts[k][first:] for k in self._texts],
            [columns.sets[k][first:] for k in self._sets],
        )

    def _spans(self, columns: TileColumns, first: int, end: int) -> list[IndexRange]:
        starts = (list(own) for _, own in groupby(range(first, end), lambda i: columns.starts[i] // self._ms))
        return [(own[0], own[-1] + 1) for own in starts]

    def _merged(self, columns: TileColumns, spans: Sequence[IndexRange]) -> TileColumns:
        return TileColumns(
            [columns.starts[i] - columns.starts[i] % self._ms for i, _ in spans],
            [sum(columns.n[i:j]) for i, j in spans],
            [[merge(columns, span) for span in spans] for merge in self._merges],
            [
                [choose(columns.texts[k][i:j]) for i, j in spans]
                for k, choose in zip(self._texts, self._choose, strict=True)
            ],
            [[list(dict.fromkeys(chain.from_iterable(columns.sets[k][i:j]))) for i, j in spans] for k in self._sets],
        )


def _earliest(texts: Iterable[str | None]) -> str | None:
    return min((t for t in texts if t is not None), default=None)


def _latest(texts: Iterable[str | None]) -> str | None:
    return max((t for t in texts if t is not None), default=None)


def _merge(state: State, numeric: Sequence[State], coarse_ms: int) -> Merge:
    """How a state of some tiles becomes that of the tile that covers them."""
    at = numeric.index(state)
    if state.kind in MISSING_IS_NAN:
        choose = min if state.kind in ("min", "first_time") else max
        return lambda columns, span: choose(filterfalse(isnan, columns.numeric[at][slice(*span)]), default=nan)
    if state.kind == "m2":
        count_at, sum_at = (numeric.index(State(kind, state.column, state.where)) for kind in ("count", "sum"))
        return lambda columns, span: _m2(*(columns.numeric[k][slice(*span)] for k in (count_at, sum_at, at)))
    if state.kind == "decayed":
        assert state.half_life is not None, "a decayed state has a half-life"
        half_life_ms = state.half_life.ms
        return lambda columns, span: sum(
            columns.numeric[at][i] * 2.0 ** (columns.starts[i] % coarse_ms / half_life_ms) for i in range(*span)
        )
    return lambda columns, span: sum(columns.numeric[at][slice(*span)])


def _m2(counts: Sequence[float], sums: Sequence[float], m2s: Sequence[float]) -> float:
    """Squared deviations from the mean of all (Chan et al. 1979)."""
    n = sum(counts)
    if not n:
        return 0.0
    mean = sum(sums) / n
    return sum(
        m2 + own * (own_sum / own - mean) ** 2 for own, own_sum, m2 in zip(counts, sums, m2s, strict=True) if own
    )
