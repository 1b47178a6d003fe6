"""A day by which nothing was answered and nothing said, as before a system's first: told without a session of Spark."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet
import pytest
import typer

import jobs.spark.join_labels
from jobs.spark.join_labels import is_anything, main
from lamina.clock import DAY_MS, day_of, midnight_ms, system_clock
from lamina.contracts.feedback import MODEL_FEEDBACK
from lamina.contracts.topics import predictions_of
from lamina.lake import layout
from lamina.monitoring.label_joins import latest_join

YESTERDAY = day_of(system_clock() - DAY_MS)
DAY = date(2018, 8, 14)


def test_nothing_to_join_needs_no_spark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jobs.spark.join_labels, "make_session", lambda app: pytest.fail("a session was started"))
    job = typer.Typer()
    job.command()(main)
    for _ in range(2):
        job(["--system", "activity", "--date", str(YESTERDAY), "--lake-url", str(tmp_path)], standalone_mode=False)
    line = orjson.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert (line["days"], line["answers"], line["joined"], line["feedback"], line["unmatched"]) == ([], 0, 0, 0, 0)
    assert line["known_before_ms"] == midnight_ms(YESTERDAY) + DAY_MS
    found = latest_join(str(tmp_path), "activity")
    assert found is not None and (found.date, found.answers) == (YESTERDAY, 0)


def put(folder: str, rows: int) -> None:
    Path(folder).mkdir(parents=True)
    pa.parquet.write_table(pa.table({"a": list(range(rows))}), f"{folder}/part.parquet")


def test_what_there_is_to_join(tmp_path: Path) -> None:
    lake = str(tmp_path)
    put(layout.events(lake, predictions_of("fraud"), date(2018, 8, 13)), 0)
    put(layout.events(lake, predictions_of("activity"), date(2018, 8, 13)), 1)
    put(layout.events(lake, MODEL_FEEDBACK, date(2018, 8, 15)), 1)
    assert not is_anything(lake, "fraud", DAY), "an empty day, another system's, and a later one"
    assert is_anything(lake, "fraud", date(2018, 8, 15)), "feedback"
    assert is_anything(lake, "activity", DAY), "an answer"
    put(layout.joined(lake, "fraud", date(2018, 8, 10)), 1)
    assert is_anything(lake, "fraud", DAY), "rows that were joined of answers that are gone"
