"""What is stored of one entity, and the tiles behind each value, equal the slow reference."""

from __future__ import annotations

import math

import pytest

from benchmarks.tiles import as_layered, batch_writes, speed_writes
from lamina.clock import DAY_MS
from lamina.definitions import load
from lamina.definitions.fraud import FRAUD_REPORTS
from lamina.errors import DefinitionError
from lamina.features.entity import features_of, read_entity, utc
from lamina.semantics.events import EventRow
from lamina.semantics.plan import make_plan
from lamina.semantics.reference import evaluate
from lamina.store.memory import MemoryStore
from tests.parity.generated import START_MS, generate
from tests.unit import crossed

FEATURES = load("fraud")
PLAN = make_plan(FEATURES)
THROUGH = START_MS + 9 * DAY_MS
AT = START_MS + 13 * DAY_MS


def arrived() -> dict[str, list[EventRow]]:
    """What had happened by `AT`: a label may be known later."""
    found = generate(11).arrived
    return found | {FRAUD_REPORTS.name: [e for e in found[FRAUD_REPORTS.name] if int(str(e["timestamp"])) < AT]}


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    found = MemoryStore()
    found.publish(batch_writes(PLAN, arrived(), THROUGH))
    found.write_tiles(speed_writes(PLAN.speed, arrived(), 0))
    return found


@pytest.mark.parametrize(
    ("entity", "entity_id"), [("user", "u0"), ("user", "u3"), ("merchant", "m1"), ("user", "none")]
)
def test_values_equal_the_reference(store: MemoryStore, entity: str, entity_id: str) -> None:
    ends = {"transactions": ("timestamp", THROUGH), "fraud_labels": ("transaction_timestamp", THROUGH)}
    known = {
        name: [e for e in events if entity == "user" or name not in ends or int(str(e[ends[name][0]])) < ends[name][1]]
        for name, events in as_layered(FEATURES, arrived(), THROUGH).items()
    }
    chosen = features_of(FEATURES, entity)
    found = read_entity(store, FEATURES, entity, entity_id, AT)
    assert found.vector.unknown == ({entity} if entity_id == "none" else frozenset())
    for f in chosen.window_features:
        expected = evaluate(f, known[f.view.source.name], entity_id, AT)
        value = found.value(f.name)
        if isinstance(expected, float):
            assert isinstance(value, float) and math.isclose(value, expected, rel_tol=1e-9), f.name
        else:
            assert value == expected, f.name


def test_the_tiles_of_a_count_add_up_to_it(store: MemoryStore) -> None:
    found = read_entity(store, FEATURES, "user", "u1", AT, explain=True)
    tiles = found.tiles["user_txn_count_30d"]
    assert {t.layer for t in tiles} == {"batch", "speed"}
    assert all(t.start_ms < THROUGH if t.layer == "batch" else t.start_ms >= THROUGH for t in tiles)
    assert sum(float(t.states["count(*)"]) for t in tiles) == found.value("user_txn_count_30d")
    last = [t.states for t in found.tiles["last_lat"]]
    assert any(f"{found.value('last_lat')} (t" in text for states in last for text in states.values())
    assert all(t.start_ms > AT - DAY_MS for t in found.tiles["user_txn_count_1d"])


def test_an_unknown_entity_is_named() -> None:
    with pytest.raises(DefinitionError, match="no entity 'card'; it has user, merchant"):
        read_entity(MemoryStore(), FEATURES, "card", "1", AT)


def test_times_are_read_as_utc() -> None:
    assert utc(START_MS + 1500) == "2018-08-08 00:00:01.500"


def test_what_needs_a_request_is_not_of_an_entity_alone() -> None:
    found = features_of(crossed.FEATURES, "user")
    assert found.names == tuple(f.name for f in found.window_features)
    assert read_entity(MemoryStore(), crossed.FEATURES, "merchant", "1", AT).value("visitors_1h") == []
