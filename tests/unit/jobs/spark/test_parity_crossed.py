"""The parity job carries what features are crossed with from the request to where a difference is explained."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa
import pytest

from jobs.spark.parity import LOOKED_AT, SERVED, _checked_ddl, _checker, _explainer
from lamina.clock import DAY_MS
from lamina.semantics.plan import make_plan
from tests.parity.generated import START_MS, generate
from tests.unit.crossed import FEATURES

USER = FEATURES.entities[0]
AT_MS = START_MS + DAY_MS
PAID = {**generate(0, n=40, strained=False).transactions[0], "user_id": "u", "merchant_id": "m", "country": "FR"}
REQUEST: dict[str, Any] = {**PAID, "transaction_id": "asked", "timestamp": AT_MS}
LATE: dict[str, Any] = {**PAID, "transaction_id": "late", "timestamp": AT_MS - 5000}
ARRIVED = {"ingested": "2018-08-09", "partition": 0, "arrival_file": "f", "arrival_row": 0}


@pytest.mark.parametrize(("served", "outcome"), [(0.0, "stale"), (7.0, "mismatch")])
def test_a_payment_that_was_not_readable_yet_explains_what_it_is_counted_by(served: float, outcome: str) -> None:
    """One French payment: what it makes of `french` it makes of what the request's country names."""
    recomputed: dict[str, Any] = dict.fromkeys(FEATURES.names) | {"shops": [], "visitors_1h": []}
    recomputed |= {"french": 1.0, "n": 1.0, "n_if_known": 1.0}
    said = recomputed | {"french": 0.0, "n": served, "n_if_known": 0.0}
    seen = {label: 0 for t in make_plan(FEATURES).streamed for label in make_plan(FEATURES).seen_labels(t)}
    texts = {name: orjson.dumps(value).decode() for name, value in (("features", said), ("seen", seen))}
    answer = {"request_id": "r", "event_id": "asked", "timestamp": AT_MS, "through": "{}", **texts}
    row = {**REQUEST, **recomputed, SERVED: answer}
    (checked,) = _checker(FEATURES)(iter([pa.RecordBatch.from_pylist([row])]))
    assert [part.split()[0].strip("`") for part in _checked_ddl(FEATURES).split(", ")] == checked.schema.names
    asked = pa.Table.from_batches([checked]).to_pylist()
    (looked_at,) = (each for each in asked if each["differing"])
    assert set(LOOKED_AT) <= {name for name, value in looked_at.items() if value is not None}
    assert orjson.loads(looked_at["asked"]) == {"country": "FR", "merchant_id": "m", "user_id": "u"}

    events = [{"_source": "transactions", **each, **ARRIVED, "offset": at} for at, each in enumerate((REQUEST, LATE))]
    explain = _explainer(FEATURES, USER)
    found = explain(pa.Table.from_pylist([looked_at], checked.schema), pa.Table.from_pylist(events)).to_pylist()
    assert {each["feature"]: each["outcome"] for each in found} == {
        "french": "stale",
        "n": outcome,
        "n_if_known": "stale",
    }
