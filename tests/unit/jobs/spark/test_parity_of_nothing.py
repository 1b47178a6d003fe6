"""A day on which nothing was answered, as before a system's first: told without a session of Spark."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
import typer

import jobs.spark.parity
from jobs.spark.parity import main
from lamina.clock import DAY_MS, day_of, system_clock
from lamina.definitions import load
from lamina.lake import layout

YESTERDAY = day_of(system_clock() - DAY_MS)


def test_nothing_to_compare_needs_no_spark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jobs.spark.parity, "make_session", lambda app: pytest.fail("a session was started"))
    job = typer.Typer()
    job.command()(main)
    asked = ["--system", "activity", "--date", str(YESTERDAY), "--lake-url", str(tmp_path)]
    assert job(asked, standalone_mode=False) is None
    line = orjson.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert (line["answers"], line["compared"], line["mismatches"]) == (0, 0, 0)
    report = orjson.loads((Path(layout.parity(str(tmp_path), "activity", YESTERDAY)) / "report.json").read_bytes())
    assert [f["feature"] for f in report["features"]] == list(load("activity").names)
