"""The online read path: which keys a request needs, and its features from what the store answered; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lamina.semantics.events import EventRow, value_of
from lamina.semantics.plan import Plan
from lamina.semantics.reference import Value
from lamina.store.evaluate import Evaluator, TilingTiles
from lamina.store.protocol import SPEED_TTL_S, OnlineStore, ReadKey, Snapshot
from lamina.store.tiles import decode_batch, decode_speed


@dataclass(frozen=True)
class FeatureVector:
    """The features of one request, and what they were made from.

    seen: events of the speed layer by `Tiling.seen_label`. through: end of the batch tiles by `Tiling.key`, epoch ms;
    absent without batch tiles. newest_ms: start of the newest tile of any entity, None without tiles. unknown: ids of
    entities, by entity name, of which nothing is stored. stale: the batch layer ends before the speed layer begins, or
    was never published.
    """

    values: dict[str, Value]
    seen: dict[str, int]
    through: dict[str, int]
    newest_ms: int | None
    unknown: frozenset[str]
    stale: bool


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
        self._entities = []
        for entity in plan.features.entities:
            speed = tuple(t for t in plan.of_entity(entity) if t in plan.speed)
            labels = [t.seen_label(state) for t in speed for state in (None, *t.keyed)]
            self._entities.append((entity, plan.of_entity(entity), speed, dict.fromkeys(labels, 0)))

    def keys(self, request: EventRow) -> list[ReadKey]:
        """What has to be read for `request`, one key an entity."""
        return [
            ReadKey(entity.name, str(value_of(request, entity.key)), tuple(t.id for t in tilings), bool(speed))
            for entity, tilings, speed, _ in self._entities
        ]

    def vector(self, snapshot: Snapshot, request: EventRow, at_ms: int) -> FeatureVector:
        """The features of `request` at `at_ms` from the answer to `keys(request)`.

        Raises: CodecError: when stored bytes cannot be read.
        """
        tiles: dict[str, TilingTiles] = {}
        seen: dict[str, int] = {}
        through: dict[str, int] = {}
        unknown = set()
        for (entity, tilings, speed, nothing_seen), reply in zip(self._entities, snapshot.replies, strict=True):
            if not reply.speed and not reply.batch:
                unknown.add(entity.name)
            from_ms: dict[str, int] = {}
            for tiling in tilings:
                tiles[tiling.key] = TilingTiles()
                if blob := reply.batch.get(tiling.id):
                    from_ms[tiling.id], tiles[tiling.key].batch = decode_batch(blob)
                    through[tiling.key] = from_ms[tiling.id]
            if not reply.speed:
                seen.update(nothing_seen)
                continue
            for tiling, found in zip(speed, decode_speed(speed, reply.speed, from_ms).values(), strict=True):
                tiles[tiling.key].speed = found.tiles
                seen[tiling.seen_label()] = found.seen
                for state, n in zip(tiling.keyed, found.keyed_seen, strict=True):
                    seen[tiling.seen_label(state)] = n
        return FeatureVector(
            values=self._evaluator.values(tiles, request, at_ms),
            seen=seen,
            through=through,
            newest_ms=_newest(tiles, at_ms),
            unknown=frozenset(unknown),
            stale=self._is_stale(snapshot.through_ms, at_ms),
        )

    def read(self, store: OnlineStore, request: EventRow, at_ms: int) -> FeatureVector:
        """The features of `request`, read from `store` in one round trip."""
        return self.vector(store.read(self.keys(request)), request, at_ms)

    def _is_stale(self, through_ms: Mapping[str, int], at_ms: int) -> bool:
        return any(at_ms - through_ms.get(e.name, 0) > SPEED_TTL_S * 1000 for e, *_ in self._entities)


def _newest(tiles: Mapping[str, TilingTiles], at_ms: int) -> int | None:
    ends = (c.starts[-1] for t in tiles.values() for c in (t.batch, t.speed) if c is not None and len(c.starts))
    return max((s for s in ends if s <= at_ms), default=None)
