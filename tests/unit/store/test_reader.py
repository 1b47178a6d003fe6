"""What a vector says of the tiles it was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from benchmarks.tiles import batch_writes, speed_writes
from lamina.clock import DAY_MS
from lamina.definitions.fraud import FEATURES
from lamina.semantics.events import EventRow
from lamina.semantics.plan import make_plan
from lamina.store.memory import MemoryStore
from lamina.store.reader import FeatureVector, Reader
from tests.parity.generated import START_MS, generate

PLAN = make_plan(FEATURES)
NOON = START_MS + 9 * DAY_MS + DAY_MS // 2
HOUR_MS = 3_600_000
PAID = generate(1, n=40).transactions[0]


def paid(id: str, at_ms: int) -> EventRow:
    return {**PAID, "transaction_id": id, "user_id": "u", "merchant_id": "m", "timestamp": at_ms}


def asked(batch: Sequence[EventRow], speed: Sequence[EventRow]) -> FeatureVector:
    """The vector at noon of a user with these events, one alone and among others alike."""

    def of(events: Sequence[EventRow]) -> Mapping[str, Sequence[EventRow]]:
        return {"transactions": events}

    store, reader = MemoryStore(), Reader(PLAN)
    store.publish(batch_writes(PLAN, of(batch), START_MS + 11 * DAY_MS if batch else START_MS))
    store.write_tiles(speed_writes(PLAN.speed, of(speed), 0))
    alone = reader.read(store, paid("request", NOON), NOON)
    (among,) = reader.read_many(store, [paid("request", NOON)], [NOON])
    assert among.newest_ms == alone.newest_ms
    return alone


@pytest.mark.parametrize("layer", ["speed", "batch"])
def test_a_tile_of_the_future_is_not_the_newest(layer: str) -> None:
    """A clock that is ahead, or a batch layer that is: how old features are goes by what is in their windows."""
    past, future = paid("past", NOON - 2 * HOUR_MS), paid("future", NOON + DAY_MS)
    found = asked(*([past, future], []) if layer == "batch" else ([], [past, future]))
    assert found.newest_ms is None or found.newest_ms <= NOON
    only_past = asked(*([past], []) if layer == "batch" else ([], [past]))
    assert only_past.newest_ms == NOON - 2 * HOUR_MS
    assert asked([], [future]).newest_ms is None
    if layer == "speed":
        both = asked([], [past, paid("other", NOON - HOUR_MS)])
        assert both.newest_ms == NOON - HOUR_MS


def test_the_tile_at_hand_counts() -> None:
    assert asked([], [paid("now", NOON)]).newest_ms == NOON
