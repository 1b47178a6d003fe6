"""The handbook's own features, recomputed by DuckDB from its first six weeks."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd

from benchmarks.handbook_features import AUTHORS, HANDBOOK, compare
from lamina.contracts.transactions import TRANSACTIONS
from lamina.features import write_training_set
from lamina.ingest.mapping import load_mapping
from lamina.ingest.transactions import import_transactions
from lamina.lake import layout

UNTIL = date(2018, 5, 16)  # the longest window, delayed, is 37 days
MOST_TIES = 40  # all six months hold 18 such rows of even customers, six values in each


def test_the_authors_features_come_out(handbook: Path, tmp_path: Path) -> None:
    lake, target = str(tmp_path / "lake"), tmp_path / "features.parquet"
    import_transactions(handbook / "transactions.parquet", load_mapping("handbook"), lake, until=UNTIL)
    rows = write_training_set(layout.topic(lake, TRANSACTIONS), HANDBOOK, target, events=lake)
    assert rows > 400_000
    agreement = compare(pd.read_parquet(target), handbook)
    assert agreement.compared > 200_000 * len(AUTHORS)
    assert agreement.mismatches == 0
    assert agreement.ties <= MOST_TIES
