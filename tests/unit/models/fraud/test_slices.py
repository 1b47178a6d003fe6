from __future__ import annotations

import numpy as np
import pytest

from lamina.evaluation.slices import measure_slices
from lamina.evaluation.table import Table
from models.fraud.problem import PROBLEM


def table() -> Table:
    rows = 8
    return Table(
        id=np.array([f"t{i}" for i in range(rows)], dtype=object),
        weight=np.ones(rows),
        waited=np.full(rows, np.nan),
        inputs={
            "lifetime_txn_count": np.array([0, 0, 3, 3, 3, 3, 3, 3.0]),
            "is_international": np.zeros(rows),
            "device_type": np.array(["mobile"] * 7 + [None], dtype=object),
        },
        positive=np.array([1, 0, 1, 0, 0, 0, 0, 0], bool),
        unit=np.array(["u"] * rows, dtype=object),
        day=np.zeros(rows, np.int64),
        columns={
            "amount": np.array([5, 24.99, 25, 100, 999, 1000, 7, 7.0]),
            "scenario": np.full(rows, None, dtype=object),
            "country": np.array(["DE", "DE", "FR", "FR", "FR", None, None, None], dtype=object),
        },
    )


def test_every_row_is_in_its_slices_and_empty_ones_are_left_out() -> None:
    found = {
        part.name: (part.rows, part.positives) for part in measure_slices(PROBLEM, table(), np.linspace(0.9, 0.1, 8))
    }
    assert found == {
        "new users": (2, 1),
        "amount below 25": (4, 1),
        "amount from 25 to 100": (1, 1),
        "amount from 100 to 1000": (2, 0),
        "amount from 1000": (1, 0),
        "country FR": (3, 1),
        "country DE": (2, 1),
        "device mobile": (7, 2),
    }


def test_a_model_that_fails_a_part_shows_there() -> None:
    scores = np.array([0.1, 0.2, 0.9, 0.3, 0.3, 0.3, 0.3, 0.3])
    found = {part.name: part for part in measure_slices(PROBLEM, table(), scores, champion=1 - scores)}
    assert found["country DE"].candidate == pytest.approx(
        {"score_mean": 0.15, "fraud_share": 0.5, "average_precision": 0.5, "auc": 0.0, "recall_at_fpr_001": 0.0}
    )
    assert found["country DE"].champion["auc"] == 1.0
    assert found["country FR"].candidate["recall_at_fpr_001"] == 1.0
    assert "auc" not in found["amount from 1000"].candidate
