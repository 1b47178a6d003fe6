"""Pages say what reports say: every version, day and slice, what is to be told, and where there is no verdict."""

from __future__ import annotations

import json
import re

from lamina.definitions import record
from lamina.monitoring.estimated import estimated
from lamina.monitoring.pages import estimated_page, performance_page
from tests.unit.monitoring.joined import calibrated, row, table
from tests.unit.monitoring.test_estimated import END_MS, weeks
from tests.unit.monitoring.test_performance import report

WATCHING = record("fraud").watching


def test_a_report_is_shown_with_its_alerts_charts_and_tables() -> None:
    rows = calibrated(1400)
    for r in rows:
        r["features"] = json.dumps({"amount": 7.0, "device_type": "<b>web</b>"})
    shadows = [{**r, "shadow": True, "model_version": "4", "arm": "new", "action": None} for r in rows]
    found = report(rows + shadows, {"3": {"auc": 0.99}})
    page = performance_page(found, WATCHING).decode()
    assert page.count("<svg") == 3 and "own evaluation of version 3: 0.99" in page and "alert below: 0.7" in page
    assert found.alerts[0].message in page
    assert "version 4 (shadow)" in page and "version 4 beside 3" in page and "new, version 4" in page
    assert "device &lt;b&gt;web&lt;/b&gt;" in page and "<b>web" not in page
    group = found.of_version("3")
    assert group is not None and f"{group.figures['auc'].value:.3f}" in page
    assert "<script" not in page and not re.search(r'(src|href)="http', page)


def test_where_there_is_no_verdict_the_page_says_why() -> None:
    assert "No verdict: no answer of the window has a complete label" in performance_page(report([]), WATCHING).decode()
    few = performance_page(report([row(n) for n in range(50)]), WATCHING).decode()
    assert "no verdict: 0 of 50 rows are positive: 30 of each kind are needed" in few


def test_estimates_are_shown_with_what_came_true() -> None:
    found = estimated(record("fraud"), table([r for w in weeks() for r in w]), end_ms=END_MS, known_before_ms=END_MS)
    page = estimated_page(found, WATCHING).decode()
    assert page.count("<svg") == 3 and ("scores as given" in page or "scores calibrated" in page)
    assert f"{found.mean_error['3']['auc']:.3f}" in page
    nothing = estimated(record("fraud"), table([]), end_ms=END_MS, known_before_ms=END_MS)
    assert "No verdict: nothing was answered" in estimated_page(nothing, WATCHING).decode()
