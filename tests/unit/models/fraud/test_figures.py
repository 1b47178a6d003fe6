from __future__ import annotations

import numpy as np
import pytest

from lamina.evaluation.table import Table
from models.fraud.figures import measure


def table(fraud: list[int], amount: list[float], scenario: list[str | None]) -> Table:
    n = len(fraud)
    return Table(
        id=np.array([f"t{i}" for i in range(n)], object),
        inputs={},
        positive=np.array(fraud, bool),
        unit=np.array([f"u{i}" for i in range(n)], object),
        day=np.zeros(n, np.int64),
        columns={"amount": np.array(amount), "scenario": np.array(scenario, object)},
        weight=np.ones(n),
        waited=np.full(n, np.nan),
    )


def test_money_and_scenarios_are_counted_at_the_same_threshold() -> None:
    rows = table([1, 1, 0, 1], [300.0, 100.0, 50.0, 600.0], ["stolen", "stolen", None, "takeover"])
    found = measure(rows, np.array([0.9, 0.2, 0.5, 0.8]))
    assert found["recall_at_fpr_001"] == pytest.approx(2 / 3)
    assert found["money_caught"] == pytest.approx(0.9)
    assert found["recall_scenario_stolen"] == 0.5
    assert found["recall_scenario_takeover"] == 1.0


@pytest.mark.parametrize("fraud", [[0, 0], [1, 1]])
def test_one_sided_tests_are_refused(fraud: list[int]) -> None:
    with pytest.raises(ValueError, match="both kinds are needed"):
        measure(table(fraud, [1.0, 1.0], [None, None]), np.array([0.1, 0.2]))
