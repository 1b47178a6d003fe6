"""The online reader equals the slow reference, wherever midnight between the two layers falls."""

from __future__ import annotations

import math

import pytest

from lamina.clock import DAY_MS
from lamina.definitions import load
from lamina.semantics.plan import make_plan
from lamina.semantics.reference import evaluate_all
from lamina.store.memory import MemoryStore
from lamina.store.reader import Reader
from tests.parity.generated import START_MS, generate
from tests.parity.tiles import batch_writes, speed_writes

PLAN = make_plan(load("fraud"))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("through_day", [0, 9, 11])
def test_reader_equals_reference(seed: int, through_day: int) -> None:
    """Requests in order of time; each sees the events before it and is itself folded in."""
    generated = generate(seed)
    through = START_MS + through_day * DAY_MS
    requests = [e for e in generated.transactions if int(str(e["timestamp"])) >= max(through, START_MS + 8 * DAY_MS)][
        ::7
    ]
    assert len(requests) >= 5
    reader = Reader(PLAN)
    for request in requests:
        at_ms = int(str(request["timestamp"]))
        arrived = {
            "transactions": [e for e in generated.transactions if int(str(e["timestamp"])) < at_ms],
            "fraud_labels": generated.fraud_labels,
        }
        store = MemoryStore()
        store.publish(batch_writes(PLAN.tilings, arrived, through if through_day else at_ms))
        store.write_tiles(speed_writes(PLAN.speed, arrived, 0))
        expected = evaluate_all(
            PLAN.features, {**arrived, "transactions": [*arrived["transactions"], request]}, request, at_ms
        )
        found = reader.read(store, request, at_ms).values
        for name, value in expected.items():
            if isinstance(value, float):
                assert math.isclose(found[name], value, rel_tol=1e-9, abs_tol=1e-9), (name, found[name], value)  # type: ignore[arg-type]
            else:
                assert found[name] == value, name
