"""The windowed arithmetic equals the slow reference, on every aggregate, resolution, delay and kind of tie."""

from __future__ import annotations

import random
from math import isclose

import numpy as np
import pyarrow as pa
import pytest

from lamina.contracts.aggregates import (
    Predicate,
    count,
    decayed_count,
    distinct,
    first,
    first_time,
    last,
    last_k,
    last_time,
    maximum,
    mean,
    minimum,
    session_count,
    std,
    total,
)
from lamina.contracts.features import Duration, Entity, EventSource, FeatureSet, FeatureView, hours, minutes, seconds
from lamina.features import windows
from lamina.features.entity_pass import AT, ENTITY, ID, KIND, QUERY, ROW, EntityPass
from lamina.semantics.events import holds
from lamina.semantics.reference import evaluate

USER = Entity("user", "user")
SOURCE = EventSource(
    "events", "events", "id", "ts", {"id": "string", "user": "string", "x": "double", "kind": "string", "ts": "long"}
)
BIG = Predicate("x", ">", 2.0)
AGGREGATES = (
    count("n"),
    count("n_big", where=BIG),
    total("x", "sum"),
    total("x", "sum_big", where=BIG),
    mean("x", "mean"),
    std("x", "std"),
    minimum("x", "min"),
    maximum("x", "max", where=BIG),
    first("kind", "first"),
    last("kind", "last"),
    last("x", "last_x"),
    first_time("first_ms", where=BIG),
    last_time("last_ms", where=BIG),
    distinct("kind", "kinds", cap=3),
    distinct("id", "ids", cap=7),
    last_k("kind", "last_kinds", k=3),
    last_k("x", "last_xs", k=5, where=BIG),
    decayed_count("decayed", half_life=minutes(2)),
    decayed_count("decayed_big", half_life=hours(2), where=BIG),
)
SESSIONS = (session_count("session", gap=hours(1)), session_count("session_big", gap=hours(2), where=BIG))
SHAPES = [
    (seconds(1), seconds(0), True),
    (seconds(1), seconds(0), False),
    (minutes(1), seconds(0), True),
    (minutes(1), seconds(0), False),
    (minutes(1), minutes(5), False),
    (hours(1), hours(1), False),
]


def generate(rng: random.Random, n: int) -> list[dict[str, object]]:
    """Events within two hours with ties in time, missing values, and values of very different size."""
    return [
        {
            "id": f"e{rng.randrange(10**6)}-{i}",
            "user": f"u{rng.randrange(4)}",
            "x": rng.choice([None, 1.5, 3.25, 1e6, rng.uniform(-5, 5)]),
            "kind": rng.choice([None, "a", "b", "c", "d", "é"]),
            "ts": 1_533_686_400_000 + rng.choice([rng.randrange(7_200_000), 1000 * rng.randrange(60), 59_999]),
        }
        for i in range(n)
    ]


def partition(entity: EntityPass, events: list[dict[str, object]], rows: list[dict[str, object]]) -> pa.Table:
    """What Spark hands to a worker, in a mixed order."""
    records: list[dict[str, object]] = [
        {KIND: QUERY, ENTITY: r["user"], AT: r["ts"], ROW: {"id": r["id"]}} for r in rows
    ]
    for e in events:
        record: dict[str, object] = {KIND: 0, ENTITY: e["user"], AT: e["ts"], ID: e["id"]}
        for slot in entity.slots:
            record[slot.name] = e[slot.what] if isinstance(slot.what, str) else holds(slot.what, e)
        records.append(record)
    random.Random(0).shuffle(records)
    types = {"double": pa.float64(), "string": pa.string(), "boolean": pa.bool_()}
    schema = pa.schema(
        [(KIND, pa.int32()), (ENTITY, pa.string()), (AT, pa.int64()), (ID, pa.string())]
        + [(s.name, types[s.kind]) for s in entity.slots]
        + [(ROW, pa.struct([("id", pa.string())]))]
    )
    return pa.Table.from_pylist(records, schema=schema)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("resolution", "delay", "include"), SHAPES)
def test_a_pass_equals_the_reference(seed: int, resolution: Duration, delay: Duration, include: bool) -> None:
    view = FeatureView(
        name="v",
        entity=USER,
        source=SOURCE,
        owner="tests",
        aggregates=AGGREGATES if delay.s else (*AGGREGATES, *SESSIONS),
        windows=(resolution, hours(1)) if resolution != hours(1) else (hours(1), hours(24)),
        resolution=resolution,
        delay=delay,
        include_request=include,
    )
    features = FeatureSet(system="s", request=SOURCE, views=(view,), ratios=(), request_features=(), model_features=())
    entity = EntityPass(features, USER)
    events = generate(random.Random(seed), 150)
    stranger = {**events[0], "id": "nobody", "user": "unseen"}
    rows = [*events[::6], stranger]
    found = pa.Table.from_batches(entity(iter(partition(entity, events, rows).to_batches(max_chunksize=37))))
    by_id = {r["id"]: r for r in found.to_pylist()}
    assert len(by_id) == len(rows)
    for row in rows:
        for f in features.window_features:
            expected = evaluate(f, events, str(row["user"]), int(str(row["ts"])))
            value = by_id[row["id"]][f.name]
            if isinstance(expected, list):
                assert value == expected, (f.name, row)
            elif isinstance(expected, float):
                assert isclose(value, expected, rel_tol=1e-9, abs_tol=1e-6), (f.name, row, value, expected)
            else:
                assert value == expected, (f.name, row)


def test_a_sum_after_a_huge_value_keeps_its_digits() -> None:
    values = np.array([1e17, 0.1, 0.2, 0.3])
    spans = windows.Windows(np.array([1]), np.array([4]))
    assert isclose(windows.total(spans, values)[0], 0.6, rel_tol=1e-15)
    assert isclose(windows.std(spans, values)[0], np.std(values[1:]), rel_tol=1e-12)


def test_a_pass_without_events_answers_what_nothing_is() -> None:
    view = FeatureView(
        name="v",
        entity=USER,
        source=SOURCE,
        owner="tests",
        aggregates=AGGREGATES,
        windows=(hours(1),),
        resolution=seconds(1),
    )
    features = FeatureSet(system="s", request=SOURCE, views=(view,), ratios=(), request_features=(), model_features=())
    entity = EntityPass(features, USER)
    row = generate(random.Random(0), 1)
    (found,) = pa.Table.from_batches(entity(iter(partition(entity, [], row).to_batches()))).to_pylist()
    assert {f.name: found[f.name] for f in features.window_features} == {
        f.name: evaluate(f, [], "u0", 0) for f in features.window_features
    }


def test_an_empty_partition_yields_nothing() -> None:
    features = FeatureSet(system="s", request=SOURCE, views=(), ratios=(), request_features=(), model_features=())
    assert list(EntityPass(features, USER)(iter([]))) == []
