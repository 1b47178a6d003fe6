"""What the page of what was measured shows of each kind of report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lamina.lake import layout
from lamina.monitoring.reports import Alert, Report, Window, write_report
from serving.console import measured, sights
from serving.console.rendering import render
from tests.console_reports import HOUR, estimated, performance, write_all
from tests.console_site import START_MS


class Counted(Report):
    """A report of some kind."""

    auc: float
    by_slice: dict[str, float]


def test_the_newest_report_of_each_kind(tmp_path: Path) -> None:
    lake = str(tmp_path)
    assert measured.watched(lake, "fraud") == []
    alert = Alert(name="auc", severity="critical", subject="7", value=0.6, threshold=0.7, message="AUC fell")
    for hour in (3, 4):
        report = Counted(
            kind="counted",
            system="fraud",
            known_before_ms=START_MS,
            window=Window(start_ms=0, end_ms=1),
            alerts=(alert,),
            auc=hour / 10,
            by_slice={"online": 0.5},
        )
        write_report(lake, datetime(2025, 1, 1, hour, tzinfo=UTC), report)
    (found,) = measured.watched(lake, "fraud")
    assert found.report is not None
    assert (found.kind, found.hour.hour, found.report.alerts) == ("counted", 4, (alert,))
    assert found.found == {"auc": 0.4}
    assert found.folder == "monitoring/fraud/counted/hour=2025-01-01T04"


def test_a_report_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    lake = str(tmp_path)
    write_all(lake)
    broken = Path(layout.monitoring(lake, "fraud", "estimated", HOUR)) / "report.json"
    broken.write_text("{}")
    seen = measured.seen(lake, "fraud")
    problems = {each.kind: each.problem for each in seen.kinds}
    assert problems["drift"] == problems["performance"] == "" and "make it again" in problems["estimated"]
    assert len(seen.charts) == 2 and all(not line.dashed for line in seen.charts[0].lines)


def test_estimated_stands_beside_realised(tmp_path: Path) -> None:
    lake = str(tmp_path)
    write_report(lake, HOUR, performance())
    write_report(lake, HOUR, estimated())
    seen = measured.seen(lake, "fraud")
    (auc,) = (each for each in seen.beside if each.name == "auc")
    assert auc.realised is not None and auc.estimated is not None and auc.version == "3"
    assert (auc.realised.value, auc.estimated.value, auc.own, auc.error) == (0.83, 0.85, 0.93, 0.031)
    first = seen.charts[0]
    assert [(line.name, line.colour, line.dashed, len(line.dots)) for line in first.lines] == [
        ("version 3, realised", 0, False, 13),
        ("version 3, estimated", 0, True, 19),
    ]
    assert [text for _, text in first.levels] == ["alert below: 0.7"]
    # Both have one axis: the same day is at the same place, and where the estimate is higher it is drawn higher.
    true, said = (dict((round(x, 1), y) for x, y, _ in line.dots) for line in first.lines)
    day = round(first.lines[0].dots[-1][0], 1)
    assert said[day] < true[day]


def test_features_are_sorted_by_how_far_they_are_beyond_their_threshold(tmp_path: Path) -> None:
    write_all(str(tmp_path))
    seen = measured.seen(str(tmp_path), "fraud")
    (drift,) = (each.report for each in seen.kinds if each.kind == "drift")
    rows = measured.ordered(drift.findings)  # type: ignore[union-attr]
    effects = [row.effect for row in rows if row.effect is not None]
    assert effects == sorted(effects, reverse=True) and effects[0] == 0.3 and rows[-1].effect is None


def test_reports_of_a_day_stand_beside_each_other(tmp_path: Path) -> None:
    write_all(str(tmp_path))
    heat = measured.seen(str(tmp_path), "fraud").heat
    assert heat is not None and len(heat.hours) == measured.HEAT_HOURS and heat.hours[-1] == HOUR
    what, squares = heat.rows[0]
    levels = [square.level for square in squares if square]
    assert what == "covariate: user_spend_1h" and (levels[0], levels[-1]) == ("calm", "critical")
    assert levels == sorted(levels, key=["calm", "near", "warning", "critical"].index), (
        "it drifts further from hour to hour"
    )


def test_the_page_says_all_of_it(tmp_path: Path) -> None:
    lake = str(tmp_path)
    write_all(lake)
    found = {
        "seen": {"fraud": measured.seen(lake, "fraud")},
        "parity": sights.parity(lake, ["fraud"]),
        "quality": sights.quality(lake),
    }
    from serving.console.heat import LEVELS

    told = {"ordered": measured.ordered, "figure_names": measured.figure_names, "levels": LEVELS, "most": 4}
    page = render("measured.html", problem=None, found=found, **told)
    assert "<small>0.810 to 0.850</small>" in page and "control, version 3" in page and "device web, version 3" in page
    assert "version 4 (shadow)" in page and "version 4 beside 3" in page
    assert "no verdict: 9 of 70 rows are positive" in page
    assert "&lt;b&gt;amount&lt;/b&gt; above 500" in page and "<b>amount" not in page
    assert "covariate: user_spend_1h" in page and "drifted, critical" in page and "The other 6" in page
    assert 'href="/console/versions/fraud/1/drift.html"' in page
    assert 'href="/console/reports/monitoring/fraud/performance/hour=2025-01-20T07"' in page
    assert 'href="/console/reports/parity/fraud/2025-01-20"' in page
    assert 'href="/console/reports/quality/transactions/2025-01-20"' in page
    assert page.count("<svg") > 3 and " style=" not in page


@pytest.mark.parametrize("system", ["fraud", "activity"])
def test_where_nothing_was_measured_there_is_nothing(tmp_path: Path, system: str) -> None:
    seen = measured.seen(str(tmp_path), system)
    assert (seen.kinds, seen.beside, seen.charts, seen.heat) == ([], [], [], None)
    assert sights.quality(str(tmp_path)) == []
