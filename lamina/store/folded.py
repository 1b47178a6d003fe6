"""The sum of all tiles of a minute or an hour, written as one tile: for keys with too many tiles to read each time.

Every state can be merged, so a sum gives the same answer as its tiles wherever a window holds all of it. Of a set it
keeps no more values than an answer needs, as the tiles of a hot entity do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from heapq import nlargest, nsmallest
from itertools import chain
from typing import NamedTuple

from lamina.contracts.durations import hours, minutes
from lamina.semantics.plan import State, TileSpec
from lamina.semantics.sketch import kept
from lamina.store.edges import HOUR_MS, MINUTE_MS
from lamina.store.rollup import Rollup
from lamina.store.tiles import decode_speed, encode_speed

MARKER = b"~"
"""Field of an entity's hash that has folded hours; theirs begin with it."""


class Hour(NamedTuple):
    """A folded hour of one tile spec of an entity."""

    key: str
    tile_spec: str
    start_ms: int

    @property
    def field(self) -> str:
        """Name of its sum in the hash of the entity."""
        return f"~{self.tile_spec}/{self.start_ms}"

    @property
    def node(self) -> str:
        """Key of the hash with the sums of its minutes."""
        return _node(self.key, "hour", self.tile_spec, self.start_ms)

    def minute(self, start_ms: int) -> str:
        """Key of the hash with the tiles of one of its minutes."""
        return _node(self.key, "minute", self.tile_spec, start_ms)


def hours_of(key: str, fields: Iterable[bytes]) -> list[Hour]:
    """The folded hours in the hash of an entity.

    >>> hours_of("user:7", [b"~", b"~payments@1s#ab/3600000", b"payments@1s#ab/7200000"])
    [Hour(key='user:7', tile_spec='payments@1s#ab', start_ms=3600000)]
    """
    names = (name[1:].decode().rpartition("/") for name in fields if name.startswith(MARKER) and name != MARKER)
    return [Hour(key, tile_spec, int(start)) for tile_spec, _, start in names]


def _node(key: str, level: str, tile_spec: str, start_ms: int) -> str:
    entity, _, entity_id = key.partition(":")
    return f"{entity}_{level}:{entity_id}\t{tile_spec}/{start_ms}"


def is_whole(value: bytes) -> bool:
    """Whether a field of the tree holds a sum.

    >>> [is_whole(value) for value in (b"3", b"", b"?1f")]
    [True, False, False]
    """
    return value[:1].isdigit()


class Folder:
    """Adds tiles up, of the tile specs that it was given."""

    def __init__(self, tile_specs: Iterable[TileSpec]) -> None:
        lengths = {MINUTE_MS: minutes(1), HOUR_MS: hours(1)}
        self._tile_specs = {t.id: t for t in tile_specs}
        self._rollups = {
            (t.id, ms): Rollup(replace(t, resolution=length), t)
            for t in self._tile_specs.values()
            for ms, length in lengths.items()
        }

    def knows(self, tile_spec: str) -> bool:
        """Whether tiles of this id can be added up."""
        return tile_spec in self._tile_specs

    def sum(self, tile_spec_id: str, fields: Mapping[bytes, bytes], length_ms: int) -> bytes:
        """One tile out of all in `fields`, tiles or sums that start in one minute or hour; empty where there is none.

        Raises: CodecError: when they cannot be read.
        """
        tile_spec, rollup = self._tile_specs[tile_spec_id], self._rollups[tile_spec_id, length_ms]
        found = decode_speed((tile_spec,), fields, {})[tile_spec_id]
        if not found.tiles.starts:
            return b""
        tiles = rollup(found, 0).tiles
        numeric, texts = chain.from_iterable(tiles.numeric), chain.from_iterable(tiles.texts)
        states = [next(numeric) if s.numeric else next(texts) for s in tile_spec.states]
        sets = [_needed(s, own) for s, (own,) in zip(tile_spec.keyed, tiles.sets, strict=True)]
        (n,) = tiles.n
        return encode_speed(n, states, sets, [sum(column) for column in found.keyed_n])


def _needed(state: State, values: Iterable[str]) -> list[str]:
    return nsmallest(kept(state.size), values) if state.kind == "distinct" else nlargest(state.size, values)
