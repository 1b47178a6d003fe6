"""Slices look at features as they were used, beside what the payload says."""

from __future__ import annotations

import json

import numpy as np

from lamina.monitoring.inputs import as_table, columns_of
from lamina.monitoring.rows import COLUMNS, read_rows
from models.fraud.problem import PROBLEM
from tests.unit.monitoring.joined import BEGIN_MS, DELAY_MS, row, table


def test_each_row_has_its_own_features_and_further_columns_from_features_or_payload() -> None:
    rows = [
        row(0, features=json.dumps({"amount": 5, "device_type": "web"}), payload=json.dumps({"country": "DE"})),
        # Two answers may have one request id, as clients give it.
        row(1, request_id="r-0", features=json.dumps({"amount": 7.5}), payload=json.dumps({"amount": 9.0})),
        row(2, request_id="r-0", timestamp=BEGIN_MS, shadow=True, features="{}"),
        row(3, features="{}", payload=json.dumps({"amount": 1.0, "country": None})),
    ]
    every = read_rows(PROBLEM.record, table(rows).select(list(COLUMNS)), BEGIN_MS + 2 * DELAY_MS)
    served = every.take(~every.shadow)
    found = as_table(PROBLEM, served, table(rows[::-1]).select(list(columns_of(PROBLEM))))
    assert found.columns["amount"].tolist() == [5.0, 7.5, 1.0] and found.columns["amount"].dtype == np.float64
    assert found.columns["country"].tolist() == ["DE", None, None]
    assert found.inputs["device_type"].tolist() == ["web", None, None]
    assert set(found.inputs) == set(PROBLEM.inputs) and np.isnan(found.inputs["lifetime_txn_count"]).all()
    # A day that was joined anew between two readings may lack rows: nothing is known of them.
    gone = as_table(PROBLEM, served, table(rows[1:]).select(list(columns_of(PROBLEM))))
    assert np.isnan(gone.columns["amount"][0]) and gone.columns["amount"][2] == 1.0
