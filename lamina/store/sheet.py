"""Tiles of many entities under one tile spec as arrays, one a state, which `columnar` adds up. Hot path."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lamina.semantics.plan import TileSpec
from lamina.store.blobs import Packed, unreadable
from lamina.store.evaluate import SpecTiles
from lamina.store.tiles import TileColumns

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ENTITY_MS = 2**43
"""Above any time in epoch ms, so `place of the entity * ENTITY_MS + start` sorts by entity, then by start."""
_NONE = np.zeros(1)


class Run(NamedTuple):
    """Tiles of several entities. keys: int64[tiles]. columns: one a numeric state, float64[tiles + 1], the last a 0 as
    padding.
    """

    keys: Ints
    columns: Sequence[Floats]


class Sheet:
    """Tiles of one tile spec of some entities, and for each request the place of its entity among them.

    Args: batch, speed: what each layer has of each entity.
    """

    def __init__(
        self, tile_spec: TileSpec, batch: Sequence[Packed | None], speed: Sequence[TileColumns | None], owner: Ints
    ) -> None:
        self._batch, self._speed, self.owner = batch, speed, owner
        self._of_requests = owner * ENTITY_MS
        self._run = _whole(tile_spec, batch, speed)
        self._unpacked: dict[int, SpecTiles] = {}
        self._ends: dict[tuple[int, int], tuple[Ints, Ints]] = {}

    @property
    def keys(self) -> Ints:
        """int64[tiles], ascending: entity by entity, within one by start, so the batch layer before the speed layer."""
        return self._run.keys

    def some(self, places: Ints) -> Sheet:
        """A sheet of the entities at `places`, int64[n], each of which is asked about once, in that order."""
        first = np.searchsorted(self.keys, places * ENTITY_MS)
        lengths = np.searchsorted(self.keys, (places + 1) * ENTITY_MS) - first
        own = np.arange(len(places))
        tiles = spread(first, lengths)
        keys = self.keys[tiles] + np.repeat((own - places) * ENTITY_MS, lengths)
        padded = np.append(tiles, len(self.keys))
        return _Some(self, places, Run(keys, [column[padded] for column in self._run.columns]))

    def tiles_of(self, place: int) -> SpecTiles:
        """The tiles of the entity at `place`, as one request is answered from them."""
        found = self._unpacked.get(place)
        if found is None:
            packed = self._batch[place]
            found = SpecTiles(None if packed is None else packed.tiles(), self._speed[place])
            self._unpacked[place] = found
        return found

    def numeric(self, place: int) -> Floats:
        """float64[tiles + 1]: one numeric state of all tiles, and a 0 as padding."""
        return self._run.columns[place]

    def end(self, resolution_ms: int, delay_ms: int, at_ms: Ints) -> tuple[Ints, Ints]:
        """Ends of windows that stop a fixed time before `at_ms`: the key of each end, and its position in `keys`."""
        found = self._ends.get((resolution_ms, delay_ms))
        if found is None:
            ends = self._of_requests + (at_ms - at_ms % resolution_ms - delay_ms)
            found = self._ends[resolution_ms, delay_ms] = ends, np.searchsorted(self.keys, ends, side="right")
        return found

    @cached_property
    def tiles(self) -> list[SpecTiles]:
        """The tiles of each entity, as one request is answered from them."""
        return [self.tiles_of(place) for place in range(len(self._batch))]


class _Some(Sheet):
    """Some entities of another sheet, at `places`."""

    def __init__(self, whole: Sheet, places: Ints, run: Run) -> None:
        self._whole, self._places, self.owner = whole, places, np.arange(len(places))
        self._of_requests = self.owner * ENTITY_MS
        self._run = run
        self._ends = {}

    @cached_property
    def tiles(self) -> list[SpecTiles]:
        """See `Sheet.tiles`."""
        return [self._whole.tiles_of(place) for place in self._places.tolist()]


def spread(first: Ints, lengths: Ints) -> Ints:
    """The numbers from each of `first` on, as many as `lengths` says, one after the other.

    >>> spread(np.array([7, 2]), np.array([2, 3])).tolist()
    [7, 8, 2, 3, 4]
    """
    ends = np.cumsum(lengths)
    found: Ints = np.arange(lengths.sum()) + np.repeat(first - (ends - lengths), lengths)
    return found


def _whole(tile_spec: TileSpec, batch: Sequence[Packed | None], speed: Sequence[TileColumns | None]) -> Run:
    written_alike: dict[tuple[int, ...], list[tuple[int, Packed]]] = {}
    for at, packed in enumerate(batch):
        if packed is not None:
            written_alike.setdefault(tuple(packed.same), []).append((at, packed))
    width = sum(state.numeric for state in tile_spec.states)
    try:
        runs = [_of_batch(places, parts) for places, parts in written_alike.items()]
    except (ValueError, IndexError) as error:
        raise unreadable(error) from error
    young = [(at, columns) for at, columns in enumerate(speed) if columns is not None and len(columns.starts)]
    if young or not runs:
        runs.append(_of_speed(width, young))
    return runs[0] if len(runs) == 1 else _merged(width, runs)


def _of_batch(same: Sequence[int], parts: Sequence[tuple[int, Packed]]) -> Run:
    """The tiles of blobs that leave the same states out."""
    nothing = np.zeros((1 + parts[0][1].written, 1), np.int64)
    numbers = np.concatenate([*(packed.numbers() for _, packed in parts), nothing], axis=1)
    columns = list(numbers[1:].view(np.float64))
    if same:
        counts = np.concatenate([*(packed.counts() for _, packed in parts), _NONE], dtype=np.float64)
        for place in same:
            columns.insert(place, counts)
    return Run(numbers[0, :-1] + _offsets([(at, packed.rows) for at, packed in parts]), columns)


def _of_speed(width: int, parts: Sequence[tuple[int, TileColumns]]) -> Run:
    starts = np.array([start for _, tiles in parts for start in tiles.starts], np.int64)
    columns = [np.array([x for _, tiles in parts for x in tiles.numeric[k]] + [0.0], np.float64) for k in range(width)]
    return Run(starts + _offsets([(at, len(tiles.starts)) for at, tiles in parts]), columns)


def _offsets(rows: Sequence[tuple[int, int]]) -> Ints:
    """What makes starts into keys, from the place of each entity and the number of its tiles."""
    places, lengths = np.array(rows, np.int64).reshape(-1, 2).T
    return np.repeat(places * ENTITY_MS, lengths)


def _merged(width: int, runs: Sequence[Run]) -> Run:
    keys = np.concatenate([run.keys for run in runs])
    order = np.argsort(keys, kind="stable")
    columns = [np.concatenate([run.columns[k][:-1] for run in runs])[order] for k in range(width)]
    return Run(keys[order], [np.append(column, 0.0) for column in columns])
