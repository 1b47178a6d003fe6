"""The online read path: which keys a request needs, and its features from what the store answered; no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np

from lamina.contracts.features import Entity
from lamina.semantics.events import EventRow, value_of
from lamina.semantics.plan import Plan, TileSpec
from lamina.semantics.reference import Value
from lamina.store.blobs import Packed, open_batch
from lamina.store.columnar import ColumnarEvaluator
from lamina.store.edges import Asked, Edges, edges_of
from lamina.store.evaluate import Evaluator, SpecTiles
from lamina.store.protocol import EntityReply, OnlineStore, ReadKey, Snapshot
from lamina.store.rollup import RolledUp, Rollup
from lamina.store.sheet import Sheet
from lamina.store.staleness import Begins, Staleness, stale
from lamina.store.tiles import TileColumns, decode_speed


@dataclass(frozen=True)
class FeatureVector:
    """The features of one request, and what they were made from.

    seen: events of the speed layer by `TileSpec.seen_label`; values, of the sets of hot entities. through: end of the
    batch tiles by `TileSpec.key`, epoch ms; absent without batch tiles. newest_ms: start of the newest tile of any
    entity, None without tiles. unknown: ids of entities, by entity name, of which nothing is stored. stale: names of
    the views that lack more than they may.
    """

    values: dict[str, Value]
    seen: dict[str, int]
    through: dict[str, int]
    newest_ms: int | None
    unknown: frozenset[str]
    stale: frozenset[str]


@dataclass
class Known:
    """What the store holds of one entity. All mappings are by `TileSpec.key`.

    through: ends of its batch tiles, epoch ms. newest_ms: start of the newest tile of each tile spec and layer.
    """

    name: str
    is_unknown: bool
    batch: Mapping[str, Packed]
    speed: Mapping[str, TileColumns]
    seen: Mapping[str, int]
    through: Mapping[str, int]
    newest_ms: Sequence[int]

    def tiles(self) -> dict[str, SpecTiles]:
        """Both layers, unpacked.

        Raises: CodecError: when a blob cannot be read.
        """
        found = {key: SpecTiles(packed.tiles()) for key, packed in self.batch.items()}
        for key, columns in self.speed.items():
            found.setdefault(key, SpecTiles()).speed = columns
        return found


@dataclass(frozen=True)
class _Own:
    """What depends on an entity's definition alone: its tile specs, those of the speed layer, the rollups between."""

    entity: Entity
    tile_specs: tuple[TileSpec, ...]
    speed: tuple[TileSpec, ...]
    rollups: tuple[tuple[TileSpec, TileSpec, Rollup], ...]
    labels: Mapping[str, tuple[str, ...]]
    nothing_seen: Mapping[str, int]
    edges: tuple[Edges, ...]

    @classmethod
    def of(cls, plan: Plan, entity: Entity) -> _Own:
        tile_specs = plan.of_entity(entity)
        together = [(t, s) for t in tile_specs if (s := plan.speed_of(t)) is not None]
        labels = {t.key: plan.seen_labels(t) for t, _ in together}
        return cls(
            entity,
            tile_specs,
            tuple(dict.fromkeys(s for _, s in together)),
            tuple((t, s, Rollup(t, s)) for t, s in together),
            labels,
            dict.fromkeys(chain.from_iterable(labels.values()), 0),
            edges_of(plan, entity),
        )

    @cached_property
    def ids(self) -> tuple[str, ...]:
        return tuple(t.id for t in self.tile_specs)

    def known(self, reply: EntityReply) -> Known:
        """What `reply` holds.

        Raises: CodecError: when its bytes cannot be read.
        """
        batch = {t.key: open_batch(blob) for t in self.tile_specs if (blob := reply.batch.get(t.id))}
        through = {key: packed.batch_end_ms for key, packed in batch.items()}
        newest = [packed.newest_ms for packed in batch.values() if packed.rows]
        if not reply.speed:
            return Known(self.entity.name, not reply.batch, batch, {}, self.nothing_seen, through, newest)
        speed: dict[str, TileColumns] = {}
        seen: dict[str, int] = {}
        for tile_spec, found in self._rolled_up(reply, through):
            speed[tile_spec.key] = found.tiles
            seen.update(zip(self.labels[tile_spec.key], (found.seen, *found.keyed_seen), strict=True))
            newest += found.tiles.starts[-1:]
        return Known(self.entity.name, False, batch, speed, seen, through, newest)

    def _rolled_up(self, reply: EntityReply, through: Mapping[str, int]) -> Iterator[tuple[TileSpec, RolledUp]]:
        """The speed tiles of each tile spec from where its batch tiles end."""
        from_ms: dict[str, int] = {}
        for tile_spec, speed, _ in self.rollups:
            end = through.get(tile_spec.key, 0)
            from_ms[speed.id] = min(end, from_ms.get(speed.id, end))
        found = decode_speed(self.speed, reply.speed, from_ms)
        for tile_spec, speed, rollup in self.rollups:
            yield tile_spec, rollup(found[speed.id], through.get(tile_spec.key, 0))


class Reader:
    """Turns requests into keys to read, and answers into feature vectors.

    >>> from lamina.definitions.fraud import FEATURES
    >>> from lamina.semantics.plan import make_plan
    >>> [k.entity for k in Reader(make_plan(FEATURES)).keys({"user_id": "u", "merchant_id": "m"}, 1533686400000)]
    ['user', 'merchant']
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._evaluator = Evaluator(plan)
        self._columnar = ColumnarEvaluator(self._evaluator)
        self._staleness = Staleness(plan)
        self._entities = [_Own.of(plan, entity) for entity in plan.features.entities]

    def keys(self, request: EventRow, at_ms: int | None = None) -> list[ReadKey]:
        """What has to be read for `request` at `at_ms`, one key an entity; without a time every tile."""
        return [
            ReadKey(
                own.entity.name,
                str(value_of(request, own.entity.key)),
                own.ids,
                bool(own.speed),
                None if at_ms is None else Asked(at_ms, own.edges),
            )
            for own in self._entities
        ]

    def vector(self, snapshot: Snapshot, request: EventRow, at_ms: int) -> FeatureVector:
        """The features of `request` at `at_ms` from the answer to `keys(request, at_ms)`.

        Raises: CodecError: when stored bytes cannot be read.
        """
        known = [own.known(reply) for own, reply in zip(self._entities, snapshot.replies, strict=True)]
        tiles = {key: tile_spec for entity in known for key, tile_spec in entity.tiles().items()}
        begins = self._staleness.begins(snapshot.batch_end_ms)
        return _vector(known, self._evaluator.values(tiles, request, at_ms), begins, at_ms)

    def vectors(self, snapshot: Snapshot, requests: Sequence[EventRow], at_ms: Sequence[int]) -> list[FeatureVector]:
        """The features of each of `requests` at its time, from the answer to the keys of all, one after the other.

        Raises: CodecError: when stored bytes cannot be read.
        """
        sheets: dict[str, Sheet] = {}
        known: list[list[Known]] = []
        for place, own in enumerate(self._entities):
            replies = snapshot.replies[place :: len(self._entities)]
            # Whoever is named by several requests was asked for once.
            distinct = {id(reply): reply for reply in replies}
            places = {key: at for at, key in enumerate(distinct)}
            owner = np.array([places[id(reply)] for reply in replies], np.int64)
            found = [own.known(reply) for reply in distinct.values()]
            for t in own.tile_specs:
                layers = [entity.batch.get(t.key) for entity in found], [entity.speed.get(t.key) for entity in found]
                sheets[t.key] = Sheet(t, *layers, owner)
            known.append([found[at] for at in owner])
        values = self._columnar.values(sheets, requests, at_ms)
        begins = self._staleness.begins(snapshot.batch_end_ms)
        return [
            _vector(of_request, found, begins, at)
            for of_request, found, at in zip(zip(*known, strict=True), values, at_ms, strict=True)
        ]

    def read(self, store: OnlineStore, request: EventRow, at_ms: int) -> FeatureVector:
        """The features of `request`, read from `store` in one round trip."""
        return self.vector(store.read(self.keys(request, at_ms)), request, at_ms)

    def read_many(self, store: OnlineStore, requests: Sequence[EventRow], at_ms: Sequence[int]) -> list[FeatureVector]:
        """The features of each of `requests` at its time, read from `store` in one round trip."""
        named = zip(requests, at_ms, strict=True)
        return self.vectors(store.read([key for one in named for key in self.keys(*one)]), requests, at_ms)


def _vector(known: Sequence[Known], values: dict[str, Value], begins: Begins, at_ms: int) -> FeatureVector:
    seen: dict[str, int] = {}
    through: dict[str, int] = {}
    for entity in known:
        seen |= entity.seen
        through |= entity.through
    starts = [start_ms for entity in known for start_ms in entity.newest_ms if start_ms <= at_ms]
    return FeatureVector(
        values=values,
        seen=seen,
        through=through,
        newest_ms=max(starts, default=None),
        unknown=frozenset([entity.name for entity in known if entity.is_unknown]),
        stale=stale(begins, at_ms),
    )
