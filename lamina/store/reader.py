"""The online read path: which keys a request needs, and its features from what the store answered; no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lamina.semantics.events import EventRow, value_of
from lamina.semantics.plan import Plan
from lamina.semantics.reference import Value
from lamina.store.columnar import ColumnarEvaluator
from lamina.store.edges import Asked
from lamina.store.evaluate import Evaluator
from lamina.store.known import Known, Own
from lamina.store.protocol import OnlineStore, ReadKey, Snapshot
from lamina.store.sheet import Sheet
from lamina.store.staleness import Begins, Staleness, stale


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


class Reader:
    """Turns requests into keys to read, and answers into feature vectors. What it has is read, never changed.

    >>> from lamina.definitions.fraud import FEATURES
    >>> from lamina.semantics.plan import make_plan
    >>> [k.entity for k in Reader(make_plan(FEATURES)).keys({"user_id": "u", "merchant_id": "m"}, 1533686400000)]
    ['user', 'merchant']
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.evaluator = Evaluator(plan)
        self.columnar = ColumnarEvaluator(self.evaluator)
        self.staleness = Staleness(plan)
        self.entities = [Own.of(plan, entity) for entity in plan.features.entities]

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
            for own in self.entities
        ]

    def vector(self, snapshot: Snapshot, request: EventRow, at_ms: int) -> FeatureVector:
        """The features of `request` at `at_ms` from the answer to `keys(request, at_ms)`.

        Raises: CodecError: when stored bytes cannot be read.
        """
        known = [own.known(reply) for own, reply in zip(self.entities, snapshot.replies, strict=True)]
        tiles = {key: tile_spec for entity in known for key, tile_spec in entity.tiles().items()}
        begins = self.staleness.begins(snapshot.batch_end_ms)
        return vector_of(known, self.evaluator.values(tiles, request, at_ms), begins, at_ms)

    def vectors(self, snapshot: Snapshot, requests: Sequence[EventRow], at_ms: Sequence[int]) -> list[FeatureVector]:
        """The features of each of `requests` at its time, from the answer to the keys of all, one after the other.

        Raises: CodecError: when stored bytes cannot be read.
        """
        sheets: dict[str, Sheet] = {}
        known: list[list[Known]] = []
        for place, own in enumerate(self.entities):
            replies = snapshot.replies[place :: len(self.entities)]
            # Whoever is named by several requests was asked for once.
            distinct = {id(reply): reply for reply in replies}
            places = {key: at for at, key in enumerate(distinct)}
            owner = np.array([places[id(reply)] for reply in replies], np.int64)
            found = [own.known(reply) for reply in distinct.values()]
            for t in own.tile_specs:
                layers = [entity.batch.get(t.key) for entity in found], [entity.speed.get(t.key) for entity in found]
                sheets[t.key] = Sheet(t, *layers, owner)
            known.append([found[at] for at in owner])
        values = self.columnar.values(sheets, requests, at_ms)
        begins = self.staleness.begins(snapshot.batch_end_ms)
        return [
            vector_of(of_request, found, begins, at)
            for of_request, found, at in zip(zip(*known, strict=True), values, at_ms, strict=True)
        ]

    def read(self, store: OnlineStore, request: EventRow, at_ms: int) -> FeatureVector:
        """The features of `request`, read from `store` in one round trip."""
        return self.vector(store.read(self.keys(request, at_ms)), request, at_ms)

    def read_many(self, store: OnlineStore, requests: Sequence[EventRow], at_ms: Sequence[int]) -> list[FeatureVector]:
        """The features of each of `requests` at its time, read from `store` in one round trip."""
        named = zip(requests, at_ms, strict=True)
        return self.vectors(store.read([key for one in named for key in self.keys(*one)]), requests, at_ms)


def vector_of(known: Sequence[Known], values: dict[str, Value], begins: Begins, at_ms: int) -> FeatureVector:
    """The vector of a request that names the entities of `known`, whose features at `at_ms` are `values`."""
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
