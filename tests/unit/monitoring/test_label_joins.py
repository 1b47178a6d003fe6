"""The newest join of labels is found and shown as metrics; what cannot be read leaves them as they are."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import orjson
import pytest
from prometheus_client import REGISTRY

from lamina.lake import layout
from lamina.monitoring.label_joins import BrokenJoinReport, export_joins, latest_join

COUNTS = {
    "answers": 10,
    "joined": 3,
    "assumed": 5,
    "waiting": 2,
    "contradicted": 1,
    "feedback": 9,
    "used": 2,
    "superseded": 3,
    "repeated": 1,
    "unmatched": 3,
}


def put(lake: Path, day: date, text: bytes | None = None, **changes: int) -> None:
    folder = Path(layout.label_join(str(lake), "parking", day))
    folder.mkdir(parents=True, exist_ok=True)
    report = {"system": "parking", "date": day.isoformat(), "known_before_ms": 5, "days": [], **COUNTS, **changes}
    (folder / layout.JOIN_REPORT).write_bytes(text or orjson.dumps(report))


def shown(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"system": "parking", **labels})


def test_the_newest_date_is_shown(tmp_path: Path) -> None:
    assert latest_join(str(tmp_path), "parking") is None
    put(tmp_path, date(2018, 8, 9), waiting=4)
    put(tmp_path, date(2018, 8, 8), waiting=7)
    Path(layout.label_join(str(tmp_path), "parking", date(2018, 8, 10))).mkdir()
    export_joins(str(tmp_path), ["parking", "fraud"])
    assert shown("label_join_answers", status="waiting") == 4
    assert shown("label_join_answers", status="contradicted") == 1
    assert shown("label_join_feedback", outcome="unmatched") == 3
    assert shown("label_join_day_seconds") == 1_533_772_800
    assert REGISTRY.get_sample_value("label_join_day_seconds", {"system": "fraud"}) is None


def test_a_broken_report_is_named_and_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, date(2018, 8, 8))
    export_joins(str(tmp_path), ["parking"])
    put(tmp_path, date(2018, 8, 9), b"{}")
    with pytest.raises(BrokenJoinReport, match=r"2018-08-09/report.json is no report .* run jobs.spark.join_labels"):
        latest_join(str(tmp_path), "parking")
    export_joins(str(tmp_path), ["parking"])
    assert shown("label_join_answers", status="waiting") == 2
    assert "parking cannot be read" in caplog.text
