"""A busy item as a store sees it: its events come by several partitions, and each tile on a way of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from zlib import crc32

from benchmarks.tiles import batch_writes, speed_writes
from lamina.clock import DAY_MS, day_of
from lamina.semantics.events import EventRow
from lamina.semantics.plan import Plan, TileSpec
from lamina.semantics.reference import without_duplicates
from lamina.store.memory import MemoryStore
from lamina.store.protocol import TileWrite
from lamina.store.reader import FeatureVector, Reader

ITEM = "i0"
PARTITIONS = 4
THROUGH_MS = 1_771_372_800_000  # 2026-02-18T00:00:00Z
BEGIN_MS = THROUGH_MS + 13 * 3_600_000 - 40_000
"""Shortly before a full hour, so that tiles of minutes and hours end while it is busy."""


@dataclass
class Crowd:
    """What users did with one item, and on what ways it went.

    events: as archived. sent_ms: when each streamed one was sent to Kafka, by its id; partition_ms: how far the stream
    job was behind, by partition; tile_ms: how long a tile, or a value of one, is on its way, by its name.
    """

    events: list[EventRow]
    sent_ms: dict[str, int]
    partition_ms: dict[int, int]
    lag_ms: Callable[[str], int]
    _plan: Plan = field(repr=False)
    _known: dict[TileSpec, list[tuple[EventRow, list[TileWrite]]]] = field(default_factory=dict, repr=False)

    def readable(self, spec: TileSpec, at_ms: int) -> list[TileWrite]:
        """What the store holds of a tile spec at `at_ms`: of each tile, and of each value, its newest state."""
        tiles: dict[str, list[EventRow]] = {}
        values: dict[str, list[TileWrite]] = {}
        for event, (whole, *own) in self._alone(spec):
            tiles.setdefault(whole.field, []).append(event)
            for value in own:
                if self._processed(event) <= at_ms - self.lag_ms(value.field):
                    values[value.field] = [value]
        for name, events in tiles.items():
            known = [e for e in events if self._processed(e) <= at_ms - self.lag_ms(name)]
            values[name] = self._writes(spec, known)[:1]
        return [write for found in values.values() for write in found]

    @cached_property
    def streamed(self) -> list[EventRow]:
        """Those that came by Kafka, each partition in its order."""
        return [e for e in self.events if e["offset"] is not None]

    def answer(self, request: EventRow, at_ms: int) -> FeatureVector:
        """What the reader makes of it for `request` at `at_ms` of the machine's clock."""
        store = MemoryStore()
        batch = [e for e in self.events if int(str(e["timestamp"])) < THROUGH_MS]
        store.publish(batch_writes(self._plan, {"user_events": batch}, THROUGH_MS))
        for spec in self._plan.speed:
            if spec.entity.name == "item":
                store.write_tiles(self.readable(spec, at_ms))
        return Reader(self._plan).read(store, request, int(str(request["timestamp"])))

    def _alone(self, spec: TileSpec) -> list[tuple[EventRow, list[TileWrite]]]:
        """Each streamed event with what it alone would write."""
        if spec not in self._known:
            self._known[spec] = [(e, self._writes(spec, [e])) for e in self.streamed]
        return self._known[spec]

    def _processed(self, event: EventRow) -> int:
        return self.sent_ms[str(event["event_id"])] + self.partition_ms[int(str(event["partition"]))]

    @staticmethod
    def _writes(spec: TileSpec, events: Sequence[EventRow]) -> list[TileWrite]:
        return speed_writes([spec], {spec.source.name: events}, THROUGH_MS)


def make_crowd(
    plan: Plan, seed: int, *, n: int = 300, a_second: float = 4, users: int = 40, lag_ms: int = 800, ahead: bool = True
) -> Crowd:
    """`n` streamed events, one in thirty late by up to a minute, one in a hundred of a clock that is ahead.

    Args: a_second: how many a second; lag_ms: the longest delay of a partition, and of a tile or value.
    """
    rng = random.Random(seed)
    events = [_event(rng, i, users, THROUGH_MS - 1 - rng.randrange(DAY_MS)) for i in range(20)]
    rows: list[dict[str, object]] = [{**e, "partition": None, "offset": None} for e in events]
    sent: list[tuple[int, dict[str, object]]] = []
    for i in range(n):
        at = BEGIN_MS + round(i * 1000 / a_second) + rng.randrange(round(1000 / a_second))
        late = rng.randrange(60_000) if rng.random() < 1 / 30 else 0
        early = rng.randrange(30_000) if ahead and rng.random() < 1 / 100 else 0
        sent.append((at + rng.randrange(50), _event(rng, 20 + i, users, at - late + early)))
    offsets = [0] * PARTITIONS
    for _, event in sorted(sent, key=lambda one: one[0]):
        partition = crc32(str(event["user_id"]).encode()) % PARTITIONS
        rows.append({**event, "partition": partition, "offset": offsets[partition]})
        offsets[partition] += 1
    rows = [{**e, "ingested": day_of(int(str(e["timestamp"]))).isoformat()} for e in rows]

    @cache
    def lag(name: str) -> int:
        return random.Random(f"{seed} {name}").randrange(lag_ms + 1)

    order = sorted(rows, key=lambda e: (str(e["ingested"]), e["partition"] is not None, e["partition"], e["offset"]))
    assert len(without_duplicates(plan.features.request, order)) == n + 20
    partition_ms = {p: rng.randrange(lag_ms + 1) for p in range(PARTITIONS)}
    return Crowd(list(order), {str(e["event_id"]): at for at, e in sent}, partition_ms, lag, plan)


def _event(rng: random.Random, i: int, users: int, at: int) -> dict[str, object]:
    bought = rng.random() < 0.1
    return {
        "event_id": f"e{i:05d}",
        "user_id": f"u{rng.randrange(users)}",
        "event_type": "purchase" if bought else "page_view",
        "item_id": ITEM,
        "session_id": "s",
        "page": "item",
        "purchase_id": f"p{i}" if bought else None,
        "purchase_amount": 10.0 if bought else None,
        "timestamp": at,
    }
