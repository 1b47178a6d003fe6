"""The handbook's own features, recomputed by Spark from its first six weeks."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from benchmarks.batch_features import compute
from benchmarks.handbook_features import AUTHORS, HANDBOOK, compare
from lamina.ingest.mapping import load_mapping
from lamina.ingest.transactions import import_transactions

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

UNTIL = date(2018, 5, 16)  # the longest window, delayed, is 37 days
MOST_TIES = 40  # all six months hold 18 such rows of even customers, six values in each


def test_the_authors_features_come_out(spark: SparkSession, handbook: Path, tmp_path: Path) -> None:
    lake = str(tmp_path / "lake")
    import_transactions(handbook / "transactions.parquet", load_mapping("handbook"), lake, until=UNTIL)
    rows = compute(spark, lake, HANDBOOK, str(tmp_path / "features"))
    assert rows > 400_000
    found = pd.read_parquet(tmp_path / "features")
    agreement = compare(found, handbook)
    assert agreement.compared > 200_000 * len(AUTHORS)
    assert agreement.mismatches == 0
    assert agreement.ties <= MOST_TIES
    # The comparison sees a difference: one later count is one mismatch.
    where = found.index[found["TRANSACTION_ID"] == 0]
    found.loc[where, "merchant_txn_count_30d"] += 1
    assert compare(found, handbook).mismatches == 1
