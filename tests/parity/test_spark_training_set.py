"""The training set that Spark makes equals the slow reference, row by row: ties, late and duplicate events included."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.spark import extract_data, training_set
from lamina.clock import day_of
from lamina.definitions import record
from lamina.definitions.fraud import FRAUD_LABELS
from lamina.semantics.reference import evaluate_all, without_duplicates
from tests.parity.differences import differences
from tests.parity.everything import EVERYTHING_SYSTEM
from tests.parity.generated import START_MS, generate
from tests.parity.lake import write_lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lamina.contracts.systems import System

FRAUD = record("fraud")
FIRST_DAY = day_of(START_MS)


@pytest.mark.parametrize(("system", "seed"), [(FRAUD, 0), (FRAUD, 1), (EVERYTHING_SYSTEM, 2)])
def test_training_set_equals_reference(spark: SparkSession, tmp_path: Path, system: System, seed: int) -> None:
    features = system.features
    generated = generate(seed, n=250)
    arrived = write_lake(tmp_path, generated)
    lake = str(tmp_path)
    day = FIRST_DAY + timedelta(days=12)
    counts = extract_data.extract(spark, lake, system, day, FIRST_DAY + timedelta(days=8), day)
    found = training_set.build(spark, lake, system, day)
    assert found["rows"] == counts["rows"] >= 30
    rows = spark.read.parquet(training_set.features_url(lake, features.system, day)).collect()
    known = {k: [e for d, e in events if d <= day] for k, events in arrived.items()}
    requests = {e["transaction_id"]: e for e in without_duplicates(features.request, known["transactions"])}
    end_ms = START_MS + 13 * 86_400_000
    stood = without_duplicates(FRAUD_LABELS, known["fraud_labels"], end_ms - 1)
    labels = {e["transaction_id"]: e for e in stood}
    for row in rows[:: 2 if system is FRAUD else 5]:
        request = requests[row["transaction_id"]]
        expected = evaluate_all(features, known, request, int(str(request["timestamp"])))
        assert not differences(expected, row.asDict()), request
        label = labels.get(row["transaction_id"])
        if label is not None and int(str(label["timestamp"])) < end_ms:
            assert (row["is_fraud"], row["label_timestamp"]) == (label["is_fraud"], label["timestamp"])
        else:
            assert (row["is_fraud"], row["label_timestamp"]) == (False, None)


def test_a_rerun_leaves_the_same(spark: SparkSession, tmp_path: Path) -> None:
    write_lake(tmp_path, generate(7, n=120))
    day = FIRST_DAY + timedelta(days=12)
    seen = []
    for _ in range(2):
        extract_data.extract(spark, str(tmp_path), FRAUD, day, FIRST_DAY, day)
        training_set.build(spark, str(tmp_path), FRAUD, day)
        frame = spark.read.parquet(training_set.features_url(str(tmp_path), "fraud", day))
        seen.append(sorted(map(tuple, frame.collect()), key=str))
    assert seen[0] == seen[1]
    assert sorted(p.name for p in (tmp_path / "training" / "fraud" / day.isoformat()).iterdir()) == ["features", "rows"]


def test_without_rows_the_next_step_is_named(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(training_set.RowsMissing, match="extract_data"):
        training_set.build(spark, str(tmp_path), FRAUD, FIRST_DAY)
