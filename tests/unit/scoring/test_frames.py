from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lamina.errors import BadScore
from lamina.scoring.frames import FrameScorer, files_of
from lamina.scoring.network import NetworkScorer
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


@pytest.mark.parametrize("given", [math.nan, math.inf])
def test_a_row_without_a_finite_score_is_written_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: float
) -> None:
    scorer = FrameScorer(files_of(write_small_network(tmp_path)), ["id"], "purchase", "3")
    batch = pa.RecordBatch.from_pydict({"id": ["a", "b"], **{name: [1.0, 2.0] for name in NAMES}})
    monkeypatch.setattr(NetworkScorer, "score", lambda self, matrix: np.array([[0.5], [given]]))
    assert pa.Table.from_batches(scorer([batch])).column("score").to_pylist() == [0.5, None]


def test_too_few_scores_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = FrameScorer(files_of(write_small_network(tmp_path)), ["id"], "purchase", "3")
    batch = pa.RecordBatch.from_pydict({"id": ["a", "b"], **{name: [1.0, 2.0] for name in NAMES}})
    monkeypatch.setattr(NetworkScorer, "score", lambda self, matrix: np.array([[0.5]]))
    with pytest.raises(BadScore, match="for 2 rows"):
        list(scorer([batch]))
