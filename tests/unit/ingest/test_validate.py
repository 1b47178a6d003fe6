"""The column-wise contract against the pydantic model, row by row."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from lamina.contracts.transactions import TRANSACTIONS, Transaction
from lamina.ingest.convert import Converted
from lamina.ingest.validate import SeenIds, first_problems
from lamina.lake.schemas import SCHEMAS

GOOD: dict[str, list[Any]] = {
    "transaction_id": ["t1", "x" * 128, "a b", "é" * 128, "日本", '"quoted"'],
    "user_id": ["u1", "customer-596", "ü"],
    "card_token": ["card-596", "abcd", "A_b-9", "1" * 11, "1" * 20, "12345678901a", "x" * 64],
    "amount": [1.5, 0.0, -3.2, 1e9, -1e9, 1e-9],
    "currency": ["EUR", "USD"],
    "merchant_id": ["m1", "Kutch, Hermiston and Farrell"],
    "merchant_category": ["grocery", "unknown", "x" * 64],
    "country": ["BE", "ZZ"],
    "user_country": ["BE", "XA"],
    "transaction_type": ["in_store", "online", "atm", "transfer"],
    "device_type": ["terminal", "mobile"],
    "location": [None, {"lat": 0.0, "lon": 0.0}, {"lat": -90.0, "lon": 180.0}],
    "timestamp": [946_684_800_000, 1_522_540_831_000, 4_102_444_800_000],
}
BAD: dict[str, list[Any]] = {
    "transaction_id": [None, "", "x" * 129, "a\nb", "a\n", "\x7f", "é" * 129, "a\x00", "a\ufffdb"],
    "user_id": [None, "", "\t", "\ufffd"],
    "card_token": [
        None,
        "",
        "abc",
        "a b c d",
        "1" * 12,
        "4" * 16,
        "1" * 19,
        "x" * 65,
        "card\n",
        "cärd-1",
        "card:1",
        "４" * 16,
    ],
    "amount": [None, float("nan"), float("inf"), float("-inf"), 1.1e9, -2e9],
    "currency": [None, "", "eur", "EURO", "EU", "EUR\n", "€€€"],
    "merchant_id": [None, "", "\x1f", "shop \ufffd"],
    "merchant_category": [None, "", "x" * 65, "a\rb"],
    "country": [None, "", "be", "BEL", "B", "B1", "BE\n"],
    "user_country": [None, "", "b"],
    "transaction_type": [None, "", "In_store", "card", "atm "],
    "device_type": [None, "", "x" * 65],
    "location": [
        {"lat": 90.1, "lon": 0.0},
        {"lat": 0.0, "lon": -180.5},
        {"lat": float("nan"), "lon": 0.0},
        {"lat": 0.0, "lon": float("inf")},
    ],
    "timestamp": [None, 0, 1_522_540_831, 946_684_799_999, 4_102_444_800_001, -5],
}


def corpus() -> list[dict[str, Any]]:
    """Every good and every bad value once beside good ones, and rows with several bad values."""
    rng = random.Random(7)
    rows = []
    for name in GOOD:
        for value in [*GOOD[name], *BAD[name]]:
            rows.append({field: rng.choice(values) for field, values in GOOD.items()} | {name: value})
    for _ in range(2000):
        row = {field: rng.choice(values) for field, values in GOOD.items()}
        for name in rng.sample(sorted(BAD), rng.randrange(4)):
            row[name] = rng.choice(BAD[name])
        rows.append(row)
    return rows


def verdict_of_the_model(row: dict[str, Any]) -> str | None:
    """The first offending field, in the contract's order, or None."""
    try:
        Transaction.model_validate(row)
    except ValidationError as error:
        return str(error.errors()[0]["loc"][0])
    return None


def as_converted(rows: list[dict[str, Any]]) -> Converted:
    schema = pa.schema([field.with_nullable(True) for field in SCHEMAS[TRANSACTIONS]])
    assert schema.field("location").type == SCHEMAS[TRANSACTIONS].field("location").type
    count = len(rows)
    return Converted(pa.Table.from_pylist(rows, schema), np.zeros(count, np.bool_), pa.nulls(count, pa.string()), [])


def test_same_verdict_and_same_field_as_the_model() -> None:
    rows = corpus()
    problems = first_problems(as_converted(rows))
    ours = [None if problem is None else str(problem).split(":")[0].split(".")[0] for problem in problems]
    assert ours == [verdict_of_the_model(row) for row in rows]
    assert 500 < sum(verdict is None for verdict in ours) < len(rows) - 500


@pytest.mark.parametrize(
    ("scenario", "is_fraud", "bad"), [("x" * 65, True, True), ("x" * 65, False, False), (None, True, False)]
)
def test_a_scenario_matters_for_frauds_only(scenario: str | None, is_fraud: bool, bad: bool) -> None:
    good = as_converted([{name: values[0] for name, values in GOOD.items()}])
    labelled = Converted(good.events, np.array([is_fraud]), pa.array([scenario], pa.string()), [])
    assert (first_problems(labelled)[0] is not None) == bad


def test_repeated_ids_are_found_within_and_across_batches() -> None:
    rng = random.Random(1)
    seen, met = SeenIds(), set[str]()
    for _ in range(50):
        ids = [str(rng.randrange(3000)) for _ in range(rng.randrange(200))]
        usable = np.array([rng.random() < 0.9 for _ in ids], dtype=np.bool_)
        expected = []
        for text, use in zip(ids, usable, strict=True):
            expected.append(bool(use) and text in met)
            if use:
                met.add(text)
        assert seen.repeated(pa.chunked_array([pa.array(ids, pa.string())]), usable).tolist() == expected
