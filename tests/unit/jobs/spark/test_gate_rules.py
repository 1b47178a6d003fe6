"""The gate refuses a day of the lake whose amounts are in two currencies, and takes one with labels said again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.spark.validation import validate
from lamina.clock import DAY_MS, day_of
from lamina.lake.schemas import SCHEMAS, in_lake
from lamina.lake.write import open_lake
from lamina.quality.suites import suite_of
from tests.parity.generated import START_MS, generate


@pytest.mark.parametrize(("codes", "refused"), [(("EUR",), False), (("USD",), False), (("EUR", "USD"), True)])
def test_two_currencies_break_a_critical_rule(tmp_path: Path, codes: tuple[str, ...], refused: bool) -> None:
    events = generate(1, n=60, days=1, strained=False).transactions
    rows = [{**e, "currency": codes[i % len(codes)], "partition": 0, "offset": i} for i, e in enumerate(events)]
    file = tmp_path / "part.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=in_lake(SCHEMAS["transactions"])), file)
    fs, path = open_lake(str(file))
    suite = suite_of("transactions")
    parameters = suite.parameters(day_of(START_MS), START_MS + DAY_MS)
    found = validate(suite, fs, [path], parameters, cast(Any, None))
    broken = {b.expectation.name: b.expectation.severity for b in found.broken}
    assert broken == ({"expect_column_unique_value_count_to_be_between(currency)": "critical"} if refused else {})


def test_a_day_with_labels_said_again_passes(tmp_path: Path) -> None:
    """Which of several labels stands is the definition's matter."""
    labels = generate(1, n=400, days=1, strained=False).fraud_labels
    said = {e["transaction_id"] for e in labels}
    assert len(said) < 0.9 * len(labels), "a good part of them twice"
    rows = [{**e, "partition": 0, "offset": i} for i, e in enumerate(labels)]
    pq.write_table(pa.Table.from_pylist(rows, schema=in_lake(SCHEMAS["fraud-labels"])), tmp_path / "part.parquet")
    fs, path = open_lake(str(tmp_path / "part.parquet"))
    suite = suite_of("fraud-labels")
    found = validate(suite, fs, [path], suite.parameters(day_of(START_MS), START_MS + 9 * DAY_MS), cast(Any, None))
    assert "expect_column_proportion_of_unique_values_to_be_between(transaction_id)" not in {
        b.expectation.name for b in found.broken
    }
