"""A value is called stale exactly when the readable events give it: the reader itself says what those are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from jobs.spark.comparison import Comparison, Difference
from jobs.spark.visible import EntityHistory, Served, arrivals
from lamina.clock import DAY_MS, day_of
from lamina.definitions import load
from lamina.semantics.events import EventRow
from lamina.semantics.plan import make_plan
from lamina.semantics.reference import Value, evaluate_all
from lamina.store.memory import MemoryStore
from lamina.store.reader import FeatureVector, Reader
from tests.parity.generated import START_MS, Generated, generate
from tests.parity.tiles import batch_writes, speed_writes

FEATURES = load("fraud")
PLAN = make_plan(FEATURES)
THROUGH_DAY = 9
THROUGH_MS = START_MS + THROUGH_DAY * DAY_MS


def _ts(event: EventRow) -> int:
    return int(str(event["timestamp"]))


def _archived(generated: Generated) -> dict[str, list[dict[str, object]]]:
    """Events in order of arrival, archived on their day, those of the streamed days with an offset."""
    found = {}
    for name, events in generated.arrived.items():
        rows = [
            {
                **e,
                "ingested": day_of(_ts(e)).isoformat(),
                "offset": i if _ts(e) >= THROUGH_MS else None,
            }
            for i, e in enumerate(events)
        ]
        found[name] = sorted(rows, key=lambda e: str(e["ingested"]))
    return found


def _vector(
    archived: Mapping[str, Sequence[EventRow]], readable: Sequence[EventRow], request: EventRow
) -> FeatureVector:
    """What the reader answers when of the streamed transactions only `readable` are in the store."""
    store = MemoryStore()
    history = {
        name: [e for e in events if str(e["ingested"]) < day_of(THROUGH_MS).isoformat()]
        for name, events in archived.items()
    }
    store.publish(batch_writes(PLAN.tilings, history, THROUGH_MS))
    store.write_tiles(speed_writes(PLAN.speed, {"transactions": list(readable), "fraud_labels": []}, THROUGH_MS))
    return Reader(PLAN).read(store, request, _ts(request))


def _judge(
    archived: Mapping[str, Sequence[EventRow]], request: EventRow, vector: FeatureVector, values: Mapping[str, Value]
) -> list[Difference]:
    comparison = Comparison(FEATURES)
    expected = evaluate_all(FEATURES, archived, request, _ts(request))
    _, differing = comparison.split(values, expected)
    served = Served("r", str(request["transaction_id"]), _ts(request), vector.seen, vector.through, values)
    found = []
    for entity in FEATURES.entities:
        own = {n: v for n, v in differing.items() if n in comparison.explainable(entity)}
        asked = Served(**{**served.__dict__, "values": {n: values.get(n) for n in own}})
        arrived = {
            name: [e for e in events if e[entity.key] == request[entity.key]] for name, events in archived.items()
        }
        found += comparison.explain(EntityHistory(PLAN, entity, arrived), entity, asked, values, own)
    assert {d.feature for d in found} == set(differing)
    return found


def _requests(archived: Mapping[str, Sequence[EventRow]]) -> list[EventRow]:
    """Streamed transactions with at least three of the same user before them."""
    streamed = [e for e in archived["transactions"] if e["offset"] is not None]
    return [
        e
        for i, e in enumerate(streamed)
        if len({p["transaction_id"] for p in streamed[:i] if p["user_id"] == e["user_id"]}) >= 3
        and e["transaction_id"] not in {p["transaction_id"] for p in streamed[:i]}
    ][::5]


def _before(archived: Mapping[str, Sequence[EventRow]], request: EventRow) -> list[EventRow]:
    """Streamed events of the user that arrived before the request, each id once."""
    found: dict[object, EventRow] = {}
    for e in archived["transactions"]:
        if e is request:
            break
        if e["offset"] is not None and e["user_id"] == request["user_id"]:
            found.setdefault(e["transaction_id"], e)
    return list(found.values())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("late", [0, 1, 3])
def test_what_lags_behind_is_stale_and_nothing_else(seed: int, late: int) -> None:
    archived = _archived(generate(seed, n=300))
    outcomes: dict[str, int] = {}
    for request in _requests(archived):
        before = _before(archived, request)
        vector = _vector(archived, before[: len(before) - late], request)
        for difference in _judge(archived, request, vector, vector.values):
            outcomes[difference.outcome] = outcomes.get(difference.outcome, 0) + 1
    assert set(outcomes) <= {"stale"}
    if late:
        assert outcomes["stale"] >= 5


def test_an_overtaken_tile_is_stale() -> None:
    archived = _archived(generate(4, n=300))
    stale = 0
    for request in _requests(archived):
        before = _before(archived, request)
        seconds = [_ts(e) // 1000 for e in before]
        days = [_ts(e) // DAY_MS for e in before]
        # The last but one is not readable, the last is; within one tile that cannot be.
        if seconds[-1] == seconds[-2] or days[-1] == days[-2]:
            continue
        vector = _vector(archived, [*before[:-2], before[-1]], request)
        differences = _judge(archived, request, vector, vector.values)
        assert {d.outcome for d in differences} <= {"stale"}
        stale += len(differences)
    assert stale >= 5


@pytest.mark.parametrize("late", [0, 1])
def test_another_value_from_the_same_events_is_a_mismatch(late: int) -> None:
    archived = _archived(generate(5, n=300))
    request = _requests(archived)[0]
    before = _before(archived, request)
    vector = _vector(archived, before[: len(before) - late], request)
    values = {
        **vector.values,
        "txn_count_1h": 99.0,
        "lifetime_txn_count": None,
        "unique_merchants_1h": 99.0,
        "merchant_fraud_count_1d": 99.0,
        "merchant_fraud_risk_1d": 0.5,
    }
    outcomes = {d.feature: d.outcome for d in _judge(archived, request, vector, values)}
    assert outcomes.pop("txn_count_1h") == "mismatch"
    assert outcomes.pop("lifetime_txn_count") == "missing"
    assert outcomes.pop("unique_merchants_1h") == "mismatch"
    assert outcomes.pop("merchant_fraud_count_1d") == "mismatch"
    assert outcomes.pop("merchant_fraud_risk_1d") == "mismatch"
    assert set(outcomes.values()) <= {"stale"}


def test_a_later_event_of_the_same_tile_is_early() -> None:
    archived = _archived(generate(6, n=300))
    request = dict(_requests(archived)[0])
    later = {**request, "transaction_id": "later", "timestamp": _ts(request) - _ts(request) % 1000 + 999, "offset": -1}
    request["timestamp"] = _ts(request) - _ts(request) % 1000
    at = next(i for i, e in enumerate(archived["transactions"]) if e["transaction_id"] == request["transaction_id"])
    archived["transactions"][at : at + 1] = [later, request]
    before = _before(archived, request)
    vector = _vector(archived, before, request)
    found = {d.feature: d for d in _judge(archived, request, vector, vector.values)}
    assert found["txn_count_1h"].outcome == "stale"
    assert found["txn_count_1h"].early
    assert {d.outcome for d in found.values()} == {"stale"}


def test_a_request_that_finds_itself_is_a_mismatch() -> None:
    archived = _archived(generate(7, n=300))
    request = _requests(archived)[0]
    vector = _vector(archived, [*_before(archived, request), request], request)
    outcomes = {d.feature: d.outcome for d in _judge(archived, request, vector, vector.values)}
    assert outcomes["txn_count_1h"] == "mismatch"


def test_a_label_that_was_archived_later_is_stale() -> None:
    archived = _archived(generate(8, n=300, days=12))
    for request in _requests(archived):
        vector = _vector(archived, _before(archived, request), request)
        count = vector.values["merchant_txn_count_1d"]
        if not count:
            continue
        begin = _ts(request) // 1000 * 1000 - 8 * DAY_MS
        in_window = next(
            e
            for e in archived["transactions"]
            if e["merchant_id"] == request["merchant_id"] and begin < _ts(e) <= begin + DAY_MS
        )
        late = {
            "transaction_id": "late", "user_id": "u", "merchant_id": request["merchant_id"],
            "is_fraud": True, "transaction_timestamp": in_window["timestamp"], "timestamp": _ts(request),
            "ingested": day_of(_ts(request)).isoformat(), "offset": 1,
        }  # fmt: skip
        labelled = {**archived, "fraud_labels": [*archived["fraud_labels"], late]}
        outcomes = {d.feature: d.outcome for d in _judge(labelled, request, vector, vector.values)}
        assert outcomes["merchant_fraud_count_1d"] == "stale"
        assert outcomes["merchant_fraud_risk_1d"] == "stale"
        return
    pytest.fail("no merchant with traffic in the window: the test has nothing to test")


def test_orders_keep_each_tile_in_order() -> None:
    events: list[EventRow] = [{"id": 0, "tile": "a"}, {"id": 1, "tile": "a"}, {"id": 2, "tile": "b"}]
    found = [[e["id"] for e in chosen] for chosen in arrivals(events, 2, 3, lambda e: e["tile"])]
    assert found[0] == [0, 1]
    # Without the first event of tile a the second one cannot be readable.
    assert found[1:] == [[0, 1], [0, 2]]


def test_an_event_after_the_request_is_not_tried() -> None:
    events: list[EventRow] = [{"id": i} for i in range(4)]
    assert list(arrivals(events, 2, 2, lambda e: e["id"])) == [events[:2]]
