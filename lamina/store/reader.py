"""The online read path: which keys a request needs, and its features from what the store answered; no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from lamina.contracts.features import Entity
from lamina.semantics.events import EventRow, value_of
from lamina.semantics.plan import Plan, Tiling
from lamina.semantics.reference import Value
from lamina.store.evaluate import Evaluator, TilingTiles
from lamina.store.protocol import EntityReply, OnlineStore, ReadKey, Snapshot
from lamina.store.rollup import RolledUp, Rollup
from lamina.store.staleness import Staleness
from lamina.store.tiles import decode_batch, decode_speed


@dataclass(frozen=True)
class FeatureVector:
    """The features of one request, and what they were made from.

    seen: events of the speed layer by `Tiling.seen_label`. through: end of the batch tiles by `Tiling.key`, epoch ms;
    absent without batch tiles. newest_ms: start of the newest tile of any entity, None without tiles. unknown: ids of
    entities, by entity name, of which nothing is stored. stale: names of the views that lack more than they may.
    """

    values: dict[str, Value]
    seen: dict[str, int]
    through: dict[str, int]
    newest_ms: int | None
    unknown: frozenset[str]
    stale: frozenset[str]


@dataclass(frozen=True)
class _Own:
    """What is kept of one entity: its tilings, those of its speed layer, and how the ones come from the others."""

    entity: Entity
    tilings: tuple[Tiling, ...]
    speed: tuple[Tiling, ...]
    rollups: tuple[tuple[Tiling, Tiling, Rollup], ...]
    labels: Mapping[str, tuple[str, ...]]
    nothing_seen: Mapping[str, int]

    @classmethod
    def of(cls, plan: Plan, entity: Entity) -> _Own:
        tilings = plan.of_entity(entity)
        together = [(t, s) for t in tilings if (s := plan.speed_of(t)) is not None]
        labels = {t.key: plan.seen_labels(t) for t, _ in together}
        return cls(
            entity,
            tilings,
            tuple(dict.fromkeys(s for _, s in together)),
            tuple((t, s, Rollup(t, s)) for t, s in together),
            labels,
            dict.fromkeys(chain.from_iterable(labels.values()), 0),
        )

    @cached_property
    def ids(self) -> tuple[str, ...]:
        return tuple(t.id for t in self.tilings)

    def rolled_up(self, reply: EntityReply, through: Mapping[str, int]) -> Iterator[tuple[Tiling, RolledUp]]:
        """The speed tiles of each tiling from where its batch tiles end."""
        from_ms: dict[str, int] = {}
        for tiling, speed, _ in self.rollups:
            end = through.get(tiling.key, 0)
            from_ms[speed.id] = min(end, from_ms.get(speed.id, end))
        found = decode_speed(self.speed, reply.speed, from_ms)
        for tiling, speed, rollup in self.rollups:
            yield tiling, rollup(found[speed.id], through.get(tiling.key, 0))

    def seen(self, tiling: Tiling, found: RolledUp) -> Mapping[str, int]:
        """How many events were seen, by label."""
        return dict(zip(self.labels[tiling.key], (found.seen, *found.keyed_seen), strict=True))


class Reader:
    """Turns requests into keys to read, and answers into feature vectors.

    >>> from lamina.definitions.fraud import FEATURES
    >>> from lamina.semantics.plan import make_plan
    >>> [k.entity for k in Reader(make_plan(FEATURES)).keys({"user_id": "u", "merchant_id": "m"})]
    ['user', 'merchant']
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._evaluator = Evaluator(plan)
        self._staleness = Staleness(plan)
        self._entities = [_Own.of(plan, entity) for entity in plan.features.entities]

    def keys(self, request: EventRow) -> list[ReadKey]:
        """What has to be read for `request`, one key an entity."""
        return [
            ReadKey(own.entity.name, str(value_of(request, own.entity.key)), own.ids, bool(own.speed))
            for own in self._entities
        ]

    def vector(self, snapshot: Snapshot, request: EventRow, at_ms: int) -> FeatureVector:
        """The features of `request` at `at_ms` from the answer to `keys(request)`.

        Raises: CodecError: when stored bytes cannot be read.
        """
        tiles: dict[str, TilingTiles] = {}
        seen: dict[str, int] = {}
        through: dict[str, int] = {}
        unknown = set()
        for own, reply in zip(self._entities, snapshot.replies, strict=True):
            if not reply.speed and not reply.batch:
                unknown.add(own.entity.name)
            for tiling in own.tilings:
                tiles[tiling.key] = TilingTiles()
                if blob := reply.batch.get(tiling.id):
                    through[tiling.key], tiles[tiling.key].batch = decode_batch(blob)
            if not reply.speed:
                seen.update(own.nothing_seen)
                continue
            for tiling, found in own.rolled_up(reply, through):
                tiles[tiling.key].speed = found.tiles
                seen |= own.seen(tiling, found)
        return FeatureVector(
            values=self._evaluator.values(tiles, request, at_ms),
            seen=seen,
            through=through,
            newest_ms=_newest(tiles, at_ms),
            unknown=frozenset(unknown),
            stale=self._staleness.of(snapshot.through_ms, at_ms),
        )

    def read(self, store: OnlineStore, request: EventRow, at_ms: int) -> FeatureVector:
        """The features of `request`, read from `store` in one round trip."""
        return self.vector(store.read(self.keys(request)), request, at_ms)


def _newest(tiles: Mapping[str, TilingTiles], at_ms: int) -> int | None:
    ends = (c.starts[-1] for t in tiles.values() for c in (t.batch, t.speed) if c is not None and len(c.starts))
    return max((s for s in ends if s <= at_ms), default=None)
