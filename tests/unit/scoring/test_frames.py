from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from lamina.scoring.frames import FrameScorer, files_of
from tests.small_network import NAMES, expected, write_small_network


def test_batches_are_scored_by_the_carried_files(tmp_path: Path) -> None:
    scorer = FrameScorer(files_of(write_small_network(tmp_path)), ["id"], "purchase", "3")
    views, events = NAMES
    batches = [
        pa.RecordBatch.from_pydict({"id": ["a", "b"], views: [1.0, None], events: [2, 3]}),
        pa.RecordBatch.from_pydict({"id": ["c"], views: [4.0], events: [0]}),
    ]
    rows = pa.Table.from_batches(scorer(batches)).to_pylist()
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    assert [row["score"] for row in rows] == pytest.approx([expected(1, 2), expected(0, 3), expected(4, 0)])
    assert {(row["model"], row["version"]) for row in rows} == {("purchase", "3")}
    assert set(rows[0]) == {"id", "score", "model", "version"}
