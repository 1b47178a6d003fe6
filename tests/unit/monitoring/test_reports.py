"""Reports of what is watched lie an hour and kind apart, are replaced as a whole, and are found again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from lamina.errors import NameRefused
from lamina.monitoring.hours import HOUR_MS
from lamina.monitoring.reports import (
    Alert,
    BrokenMonitoringReport,
    Report,
    Summary,
    Window,
    history,
    hour_of,
    hours,
    kinds,
    newest,
    read_report,
    write_report,
)

SEVEN = datetime(2018, 8, 21, 7, tzinfo=UTC)
FALL = Alert(name="low_auc", severity="critical", subject="version 3", value=0.6, threshold=0.7, message="it fell")


class Counted(Report):
    """A kind of its own."""

    rows: int


def report(rows: int, kind: str = "performance", **more: object) -> Counted:
    given = {"kind": kind, "system": "fraud", "known_before_ms": 9, "window": Window(start_ms=0, end_ms=9)}
    return Counted.model_validate(given | {"rows": rows} | more)


def test_a_report_comes_back_as_it_was_and_a_later_one_takes_its_place(tmp_path: Path) -> None:
    lake = str(tmp_path)
    write_report(lake, SEVEN, report(1, alerts=(FALL,)), {"report.html": b"<p>old", "more.json": b"{}"})
    assert read_report(lake, "fraud", "performance", SEVEN, Counted) == report(1, alerts=(FALL,))
    url = write_report(lake, SEVEN, report(2), {"report.html": b"<p>new"})
    assert url == f"{lake}/monitoring/fraud/performance/hour=2018-08-21T07"
    assert {file.name: file.read_bytes()[:6] for file in Path(url).iterdir() if file.suffix != ".json"} == {
        "report.html": b"<p>new"
    }
    assert read_report(lake, "fraud", "performance", SEVEN, Counted) == report(2)
    assert [folder.name for folder in Path(url).parent.iterdir()] == ["hour=2018-08-21T07"]


def test_the_same_report_is_the_same_bytes(tmp_path: Path) -> None:
    written = [Path(write_report(str(tmp_path), SEVEN, report(1)), "report.json").read_bytes() for _ in range(2)]
    assert written[0] == written[1]


def test_the_newest_is_that_of_the_latest_hour_not_the_last_written(tmp_path: Path) -> None:
    lake = str(tmp_path)
    for ahead in (3, 26, 0):
        write_report(lake, SEVEN + timedelta(hours=ahead), report(ahead))
    found = newest(lake, "fraud", "performance", Counted)
    assert found is not None and found.rows == 26
    assert [each.rows for each in history(lake, "fraud", "performance", Counted)] == [0, 3, 26]
    since = SEVEN + timedelta(hours=3)
    assert [each.rows for each in history(lake, "fraud", "performance", Counted, since=since)] == [3, 26]
    assert [each.rows for each in history(lake, "fraud", "performance", Counted, most=2)] == [3, 26]
    assert hours(lake, "fraud", "performance")[0] == SEVEN


def test_nothing_is_found_where_nothing_was_written(tmp_path: Path) -> None:
    lake = str(tmp_path)
    assert newest(lake, "fraud", "performance", Counted) is None
    assert read_report(lake, "fraud", "performance", SEVEN, Counted) is None
    assert (hours(lake, "fraud", "performance"), kinds(lake, "fraud")) == ([], [])


def test_a_report_that_cannot_be_read_says_how_it_is_made_again(tmp_path: Path) -> None:
    url = write_report(str(tmp_path), SEVEN, report(1))
    Path(url, "report.json").write_text('{"kind": "performance"}')
    with pytest.raises(BrokenMonitoringReport, match="lamina monitor performance --system fraud --at 2018-08-21T07"):
        newest(str(tmp_path), "fraud", "performance", Counted)


def test_any_kind_is_read_as_far_as_all_are_alike(tmp_path: Path) -> None:
    lake = str(tmp_path)
    write_report(lake, SEVEN, report(1, kind="drift", alerts=(FALL,)))
    write_report(lake, SEVEN, report(1))
    assert kinds(lake, "fraud") == ["drift", "performance"]
    found = newest(lake, "fraud", "drift", Summary)
    assert found is not None and found.alerts == (FALL,)


def test_no_name_leads_out_of_the_folder_and_no_number_is_none(tmp_path: Path) -> None:
    with pytest.raises(NameRefused):
        write_report(str(tmp_path), SEVEN, report(1, kind="../parity"))
    with pytest.raises(NameRefused):
        write_report(str(tmp_path), SEVEN, report(1), {"../x": b""})
    with pytest.raises(ValidationError):
        Alert(name="low_auc", severity="critical", subject="3", value=float("nan"), threshold=0.7, message="")


def test_an_hour_begins_on_the_hour() -> None:
    at = hour_of(5 * HOUR_MS)
    assert [hour_of(5 * HOUR_MS + more) for more in (0, HOUR_MS - 1, HOUR_MS)] == [at, at, at + timedelta(hours=1)]
