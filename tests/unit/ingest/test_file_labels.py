"""Fraud labels in files of every kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from tests.unit.ingest.test_files import GOOD, as_csv, mapping, put, rejects, run
from tests.unit.ingest.test_transactions import stored

LABELS: list[tuple[Any, bool | None]] = [
    (True, True), (False, False), (1, True), (0, False), (1.0, True), (0.0, False), ("1", True), ("1.0", True),
    ("0.0", False), ("TRUE", True), (" yes ", True), ("n", False), (None, False), ("", False), (float("nan"), False),
    ("perhaps", None), (0.5, None), (2, None),
]  # fmt: skip


def test_labels_of_every_type_mean_the_same(tmp_path: Path) -> None:
    rows = [{**GOOD, "id": f"t{n}", "fraud": label} for n, (label, _) in enumerate(LABELS)]
    as_json = put(tmp_path, "a.jsonl", "\n".join(json.dumps(row) for row in rows))
    run(as_json)
    expected = {f"t{n}": fraud for n, (_, fraud) in enumerate(LABELS)}
    frauds = set(stored(tmp_path / "lake", "fraud-labels")["transaction_id"].to_pylist())
    assert frauds == {name for name, fraud in expected.items() if fraud}
    refused = {row["original"]["id"]: row["reason"] for row in rejects(as_json)}
    assert set(refused) == {name for name, fraud in expected.items() if fraud is None}
    assert all("say what it means in the label's values" in reason for reason in refused.values())


@pytest.mark.parametrize("values", [[1.0, 0.0, 0.5], [True, False, None], [1, 0, None], [1.0, 0.0, float("nan")]])
def test_labels_of_a_typed_column(tmp_path: Path, values: list[Any]) -> None:
    path = tmp_path / "a.parquet"
    columns = {name: [value] * 3 for name, value in GOOD.items()} | {"id": ["a", "b", "c"], "fraud": values}
    pq.write_table(pa.table(columns), path)
    report = run(path)
    assert (report.accepted, report.labels) == (2 if values[2] == 0.5 else 3, 1)
    assert stored(tmp_path / "lake", "fraud-labels")["transaction_id"].to_pylist() == ["a"]


def test_labels_in_words_are_read_by_the_mappings_values(tmp_path: Path) -> None:
    words = ["Fraud", "legit", "FRAUD ", "", "odd", "1"]
    path = put(tmp_path, "a.csv", as_csv([{**GOOD, "id": f"t{n}", "fraud": word} for n, word in enumerate(words)]))
    report = run(path, label={"column": "fraud", "values": {"fraud": True, "Legit": False}})
    assert (report.accepted, report.labels, report.rejected) == (4, 2, 2)
    numbers = put(tmp_path, "b.csv", as_csv([{**GOOD, "id": f"t{n}", "fraud": word} for n, word in enumerate("12")]))
    assert run(numbers, label={"column": "fraud", "values": {1: False, 2: True}}).labels == 1
    with pytest.raises(ValidationError, match="case makes no difference"):
        mapping(label={"column": "fraud", "values": {"a": True, "A": False}})
    with pytest.raises(ValidationError, match="quote it"):
        mapping(label={"column": "fraud", "values": {True: True}})
