"""Columns are made from contracts; those of lakes that there are, written down here, must not change unseen."""

from __future__ import annotations

from typing import Literal

import pyarrow as pa
import pytest

from lamina.contracts.base import Event
from lamina.contracts.reasons import Reason
from lamina.errors import DefinitionError
from lamina.lake.schemas import SCHEMAS, in_lake, json_columns, schema_of, without_position

TEXT, NUMBER, WHOLE, TRUTH = pa.string(), pa.float64(), pa.int64(), pa.bool_()
PLACE = pa.struct([pa.field("lat", NUMBER, False), pa.field("lon", NUMBER, False)])

WRITTEN: dict[str, dict[str, pa.DataType]] = {
    "transactions": {
        "transaction_id": TEXT,
        "user_id": TEXT,
        "card_token": TEXT,
        "amount": NUMBER,
        "currency": TEXT,
        "merchant_id": TEXT,
        "merchant_category": TEXT,
        "country": TEXT,
        "user_country": TEXT,
        "transaction_type": TEXT,
        "device_type": TEXT,
        "location": PLACE,
        "timestamp": WHOLE,
    },
    "fraud-labels": {
        "transaction_id": TEXT,
        "user_id": TEXT,
        "merchant_id": TEXT,
        "is_fraud": TRUTH,
        "scenario": TEXT,
        "source": TEXT,
        "transaction_timestamp": WHOLE,
        "timestamp": WHOLE,
    },
    "user-events": {
        "event_id": TEXT,
        "user_id": TEXT,
        "event_type": TEXT,
        "item_id": TEXT,
        "session_id": TEXT,
        "page": TEXT,
        "purchase_id": TEXT,
        "purchase_amount": NUMBER,
        "timestamp": WHOLE,
    },
    "predictions-fraud": {
        "system": TEXT,
        "request_id": TEXT,
        "event_id": TEXT,
        "subjects": TEXT,
        "candidates": TEXT,
        "outputs": TEXT,
        "action": TEXT,
        "intended": TEXT,
        "propensity": NUMBER,
        "models": TEXT,
        "fallback": TEXT,
        "experiment": TEXT,
        "arm": TEXT,
        "bucket": WHOLE,
        "shadow": TRUTH,
        "features": TEXT,
        "seen": TEXT,
        "through": TEXT,
        "feature_age_ms": WHOLE,
        "stale": TRUTH,
        "unknown": TEXT,
        "timestamp": WHOLE,
        "served_at": WHOLE,
        "latency_ms": NUMBER,
        "stage_ms": TEXT,
        "payload": TEXT,
    },
    "model-feedback": {
        "system": TEXT,
        "feedback_id": TEXT,
        "request_id": TEXT,
        "event_id": TEXT,
        "subjects": TEXT,
        "prediction": NUMBER,
        "action": TEXT,
        "value": NUMBER,
        "source": TEXT,
        "author": TEXT,
        "client": TEXT,
        "timestamp": WHOLE,
    },
}
MAY_LACK = {
    "transactions": {"location"},
    "fraud-labels": {"scenario"},
    "user-events": {"purchase_id", "purchase_amount"},
    "predictions-fraud": {
        "event_id",
        "action",
        "intended",
        "propensity",
        "experiment",
        "arm",
        "bucket",
        "feature_age_ms",
    },
    "model-feedback": {"request_id", "event_id", "prediction", "action", "value", "author", "client"},
}


@pytest.mark.parametrize("topic", WRITTEN)
def test_the_columns_of_a_topic_are_those_that_lakes_hold(topic: str) -> None:
    lacks = MAY_LACK[topic]
    held = pa.schema([pa.field(name, kind, name in lacks) for name, kind in WRITTEN[topic].items()])
    assert SCHEMAS[topic].equals(held)


class Parked(Event):
    """One field of each kind."""

    text: str
    kind: Literal["car", "bike"]
    number: float | None
    fee: Reason
    lists: list[float] | None
    maps: dict[str, Reason]


def test_columns_are_made_from_the_fields_of_any_contract() -> None:
    found = schema_of(Parked)
    assert {f.name: f.type for f in found if f.name != "fee"} == {
        "text": TEXT,
        "kind": TEXT,
        "number": NUMBER,
        "lists": TEXT,
        "maps": TEXT,
    }
    assert {f.name: f.nullable for f in found.field("fee").type} == {
        "kind": False,
        "code": False,
        "detail": False,
        "weight": True,
    }
    assert {f.name for f in found if f.nullable} == {"number", "lists"}
    assert json_columns(Parked) == ("lists", "maps")


@pytest.mark.parametrize("kind", [str | int, bytes, Literal["a", 1], tuple[int, ...]])
def test_a_field_without_a_column_is_refused_by_its_name(kind: type) -> None:
    odd = type("Odd", (Event,), {"__annotations__": {"odd": kind}})
    with pytest.raises(DefinitionError, match=r"Odd\.odd: the lake has no column"):
        schema_of(odd)


def test_imported_rows_have_no_place_in_kafka() -> None:
    labels = SCHEMAS["fraud-labels"]
    table = without_position(labels.empty_table())
    assert table.schema.equals(in_lake(labels))
