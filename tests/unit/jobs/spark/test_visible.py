"""A value is called stale exactly when the readable events give it: the reader itself says what those are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from jobs.spark.comparison import Comparison, Difference
from jobs.spark.visible import Answer, EntityHistory
from lamina.clock import DAY_MS, day_of
from lamina.contracts.aggregates import last_k
from lamina.contracts.features import Chosen, Membership, Ratio, days
from lamina.definitions import load
from lamina.semantics.events import EventRow
from lamina.semantics.plan import make_plan
from lamina.semantics.reference import Value, evaluate_all
from lamina.store.reader import FeatureVector
from tests.parity.generated import START_MS, generate
from tests.parity.served import Archived, archived, arrived_before, event_time, first_requests, vector

FRAUD = load("fraud")
SHOPS = replace(
    next(v for v in FRAUD.views if v.name == "user_velocity"),
    name="shops",
    aggregates=(last_k("merchant_id", "last_shops", k=3),),
    windows=(days(1),),
    include_request=False,
)
FEATURES = replace(
    FRAUD,
    views=(*FRAUD.views, SHOPS),
    chosen=(
        Chosen("count_by_type", "transaction_type", {"online": "user_txn_count_1d", "in_store": "user_txn_count_7d"}),
    ),
    memberships=(Membership("was_there", "merchant_id", "last_shops_1d"),),
    ratios=(*FRAUD.ratios, Ratio("share_by_type", "count_by_type", "user_txn_count_30d")),
)
PLAN = make_plan(FEATURES)
THROUGH_DAY = 9
THROUGH_MS = START_MS + THROUGH_DAY * DAY_MS


def _judge(
    arrived: Mapping[str, Sequence[EventRow]], request: EventRow, found: FeatureVector, values: Mapping[str, Value]
) -> list[Difference]:
    comparison = Comparison(FEATURES)
    expected = evaluate_all(FEATURES, arrived, request, event_time(request))
    _, differing = comparison.split(values, expected)
    served = Answer("r", str(request["transaction_id"]), event_time(request), found.seen, found.through, values)
    differences = []
    for entity in FEATURES.entities:
        own = {n: v for n, v in differing.items() if n in comparison.explainable(entity)}
        asked = Answer(**{**served.__dict__, "values": {n: values.get(n) for n in own}})
        mine = {name: [e for e in rows if e[entity.key] == request[entity.key]] for name, rows in arrived.items()}
        differences += comparison.explain(EntityHistory(PLAN, entity, mine), entity, asked, values, own, request)
    assert {d.feature for d in differences} == set(differing)
    return differences


def _requests(events: Archived) -> list[EventRow]:
    return first_requests(events, 3)[::5]


def _vector(events: Archived, readable: Sequence[EventRow], request: EventRow) -> FeatureVector:
    return vector(PLAN, events, THROUGH_MS, readable, request)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("late", [0, 1, 3])
def test_what_lags_behind_is_stale_and_nothing_else(seed: int, late: int) -> None:
    events = archived(generate(seed, n=300), THROUGH_MS)
    outcomes: dict[str, int] = {}
    for request in _requests(events):
        before = arrived_before(events, request)
        answer = _vector(events, before[: len(before) - late], request)
        for difference in _judge(events, request, answer, answer.values):
            outcomes[difference.outcome] = outcomes.get(difference.outcome, 0) + 1
            if difference.feature.startswith("user_txn_count"):
                assert difference.tiles is not None
                counted = [float(sum(n for _, n in tiles)) for tiles in difference.tiles]
                assert counted == [difference.readable, difference.expected]
    assert set(outcomes) <= {"stale"}
    if late:
        assert outcomes["stale"] >= 5


def test_what_is_crossed_with_the_request_is_explained_by_what_the_request_names() -> None:
    events = archived(generate(1, n=300), THROUGH_MS)
    stale = set[str]()
    for request in _requests(events):
        before = arrived_before(events, request)
        answer = _vector(events, before[:-3], request)
        found = {d.feature: d for d in _judge(events, request, answer, answer.values)}
        stale |= found.keys()
        named = "user_txn_count_1d" if request["transaction_type"] == "online" else "user_txn_count_7d"
        assert ("count_by_type" in found) is (named in found)
        if named not in found:
            continue
        assert found["count_by_type"].readable == found[named].readable
        # Another value than that of what the request names.
        values = {**answer.values, "count_by_type": 77.0}
        assert {d.feature: d.outcome for d in _judge(events, request, answer, values)}["count_by_type"] == "mismatch"
        # Of a part that is not explained nothing follows.
        values = {**answer.values, named: 99.0, "count_by_type": 99.0}
        assert {d.feature: d.outcome for d in _judge(events, request, answer, values)}["count_by_type"] == "mismatch"
    assert stale >= {"count_by_type", "share_by_type", "was_there"}


def test_an_overtaken_tile_is_stale() -> None:
    events = archived(generate(4, n=300), THROUGH_MS)
    stale = 0
    for request in _requests(events):
        before = arrived_before(events, request)
        seconds = [event_time(e) // 1000 for e in before]
        days = [event_time(e) // DAY_MS for e in before]
        # The last but one is not readable, the last is; within one tile that cannot be.
        if seconds[-1] == seconds[-2] or days[-1] == days[-2]:
            continue
        answer = _vector(events, [*before[:-2], before[-1]], request)
        differences = _judge(events, request, answer, answer.values)
        assert {d.outcome for d in differences} <= {"stale"}
        stale += len(differences)
    assert stale >= 5


@pytest.mark.parametrize("late", [0, 1])
def test_another_value_from_the_same_events_is_a_mismatch(late: int) -> None:
    events = archived(generate(5, n=300), THROUGH_MS)
    request = _requests(events)[0]
    before = arrived_before(events, request)
    answer = _vector(events, before[: len(before) - late], request)
    values = {
        **answer.values,
        "txn_count_1h": 99.0,
        "lifetime_txn_count": None,
        "unique_merchants_1h": 99.0,
        "merchant_fraud_count_1d": 99.0,
        "merchant_fraud_risk_1d": 0.5,
    }
    outcomes = {d.feature: d.outcome for d in _judge(events, request, answer, values)}
    assert outcomes.pop("txn_count_1h") == "mismatch"
    assert outcomes.pop("lifetime_txn_count") == "missing"
    assert outcomes.pop("unique_merchants_1h") == "mismatch"
    assert outcomes.pop("merchant_fraud_count_1d") == "mismatch"
    assert outcomes.pop("merchant_fraud_risk_1d") == "mismatch"
    assert set(outcomes.values()) <= {"stale"}


def test_a_later_event_of_the_same_tile_is_early() -> None:
    events = archived(generate(6, n=300), THROUGH_MS)
    request = dict(_requests(events)[0])
    later = {
        **request,
        "transaction_id": "later",
        "timestamp": event_time(request) - event_time(request) % 1000 + 999,
        "offset": -1,
    }
    request["timestamp"] = event_time(request) - event_time(request) % 1000
    at = next(i for i, e in enumerate(events["transactions"]) if e["transaction_id"] == request["transaction_id"])
    events["transactions"][at : at + 1] = [later, request]
    before = arrived_before(events, request)
    answer = _vector(events, before, request)
    found = {d.feature: d for d in _judge(events, request, answer, answer.values)}
    assert found["txn_count_1h"].outcome == "stale"
    assert found["txn_count_1h"].early
    assert {d.outcome for d in found.values()} == {"stale"}


def test_a_request_that_finds_itself_is_a_mismatch() -> None:
    events = archived(generate(7, n=300), THROUGH_MS)
    request = _requests(events)[0]
    answer = _vector(events, [*arrived_before(events, request), request], request)
    outcomes = {d.feature: d.outcome for d in _judge(events, request, answer, answer.values)}
    assert outcomes["txn_count_1h"] == "mismatch"


def test_a_label_that_was_archived_later_is_stale() -> None:
    events = archived(generate(8, n=300, days=12), THROUGH_MS)
    for request in _requests(events):
        answer = _vector(events, arrived_before(events, request), request)
        count = answer.values["merchant_txn_count_1d"]
        if not count:
            continue
        begin = event_time(request) // 1000 * 1000 - 8 * DAY_MS
        in_window = next(
            e
            for e in events["transactions"]
            if e["merchant_id"] == request["merchant_id"] and begin < event_time(e) <= begin + DAY_MS
        )
        late = {
            "transaction_id": "late", "user_id": "u", "merchant_id": request["merchant_id"],
            "is_fraud": True, "transaction_timestamp": in_window["timestamp"], "timestamp": event_time(request),
            "ingested": day_of(event_time(request)).isoformat(), "partition": 0, "offset": 1,
        }  # fmt: skip
        labelled = {**events, "fraud_labels": [*events["fraud_labels"], late]}
        outcomes = {d.feature: d.outcome for d in _judge(labelled, request, answer, answer.values)}
        assert outcomes["merchant_fraud_count_1d"] == "stale"
        assert outcomes["merchant_fraud_risk_1d"] == "stale"
        return
    pytest.fail("no merchant with traffic in the window: the test has nothing to test")


def test_what_was_sent_behind_the_request_was_not_readable() -> None:
    events = archived(generate(9, n=300), THROUGH_MS)
    request = next(r for r in _requests(events) if event_time(r) % DAY_MS > 3_600_000)
    behind = {**request, "transaction_id": "behind", "timestamp": event_time(request) - 60_000, "amount": 1234.5}
    at = next(i for i, e in enumerate(events["transactions"]) if e["transaction_id"] == request["transaction_id"])
    events["transactions"].insert(at + 1, behind)
    # As many as arrived before, but for the last one of them.
    answer = _vector(events, [*arrived_before(events, request)[:-1], behind], request)
    outcomes = {d.feature: d.outcome for d in _judge(events, request, answer, answer.values)}
    assert outcomes["total_amount_1h"] == "mismatch"
