"""The online reader equals the slow reference, wherever midnight between the two layers falls."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.tiles import as_layered, batch_writes, speed_writes
from lamina.clock import DAY_MS
from lamina.contracts.features import FeatureSet
from lamina.definitions import load
from lamina.definitions.fraud import FRAUD_LABELS, FRAUD_REPORTS
from lamina.semantics.plan import make_plan
from lamina.semantics.reference import evaluate_all
from lamina.store.memory import MemoryStore
from lamina.store.reader import Reader
from tests.parity import activity
from tests.parity.differences import differences
from tests.parity.everything import EVERYTHING
from tests.parity.generated import START_MS, generate

ACTIVITY = load("activity")


@pytest.mark.parametrize(("features", "seed"), [(load("fraud"), 0), (load("fraud"), 1), (EVERYTHING, 2), (ACTIVITY, 3)])
@pytest.mark.parametrize("through_day", [0, 9, 11])
def test_reader_equals_reference(features: FeatureSet, seed: int, through_day: int) -> None:
    """Requests in order of time; each sees the events before it and is itself folded in; among others as alone."""
    plan = make_plan(features)
    generated = (activity.generate if features is ACTIVITY else generate)(seed)
    own = features.request.name
    through = START_MS + through_day * DAY_MS
    begin = max(through, START_MS + 8 * DAY_MS)
    # What the batch layer alone keeps is delayed by a day, and so right for a day.
    end = begin + DAY_MS if features is ACTIVITY else START_MS + 12 * DAY_MS
    requests = [e for e in generated.arrived[own] if begin <= int(str(e["timestamp"])) < end]
    requests = requests[:: max(len(requests) // 10, 1) if features is not EVERYTHING else max(len(requests) // 5, 1)]
    assert len(requests) >= 5
    reader = Reader(plan)
    for request in requests:
        at_ms = int(str(request["timestamp"]))
        before = [e for e in generated.arrived[own] if int(str(e["timestamp"])) < at_ms]
        arrived = {**generated.arrived, own: before}
        for said in {FRAUD_REPORTS.name, FRAUD_LABELS.name} & arrived.keys():
            arrived[said] = [e for e in arrived[said] if int(str(e["timestamp"])) < at_ms]
        store = MemoryStore()
        store.publish(batch_writes(plan, arrived, through if through_day else at_ms))
        store.write_tiles(speed_writes(plan.speed, arrived, 0))
        known = as_layered(plan.features, arrived, through if through_day else at_ms)
        expected = evaluate_all(plan.features, {**known, own: [*before, request]}, request, at_ms)
        found = reader.read(store, request, at_ms)
        assert not differences(expected, found.values), request
        together = [request, *requests[:4], request]
        answers = reader.read_many(store, together, [at_ms] * len(together))
        for other, answer in zip(together, answers, strict=True):
            alone = found if other is request else reader.read(store, other, at_ms)
            assert not differences(alone.values, answer.values), other
            assert replace(answer, values=alone.values) == alone
