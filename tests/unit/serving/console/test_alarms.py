"""Alerts as rows of the first page."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import pytest

from lamina.demo.told import OnConsole
from lamina.monitoring.exported import Exported
from lamina.monitoring.reports import write_report
from serving.console.alarms import alarms
from tests.console_reports import HOUR, drift, write_all
from tests.console_site import Site
from tests.unit.serving.console.test_console import Browser


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Exported]:
    """Gauges by the reports of a lake, and none any more at the end."""
    write_all(str(tmp_path / "lake"))
    watched = Exported(str(tmp_path / "lake"))
    watched.show("fraud")
    yield watched
    watched.lake = str(tmp_path / "nothing")
    watched.show("fraud")
    assert alarms() == []


def test_the_worst_come_first_and_what_is_over_is_gone(watched: Exported) -> None:
    assert [(a.system, a.report, a.alert, a.severity, a.count) for a in alarms()] == [
        ("fraud", "drift", "covariate_drift", "critical", 2),
        ("fraud", "drift", "covariate_drift", "warning", 2),
        ("fraud", "performance", "auc_fell", "warning", 1),
    ]
    write_report(watched.lake, HOUR, drift(30))
    watched.show("fraud")
    assert [a.report for a in alarms()] == ["performance"]


def test_the_first_page_leads_to_what_was_measured(watched: Exported, tmp_path: Path) -> None:
    site = Site(tmp_path)
    eve = Browser(site)
    eve.sign_in("eve")
    assert 'href="/console/measured#fraud-drift"' in eve.get("/").text
    assert 'id="fraud-drift"' in eve.get("/measured").text
    site.close()


@pytest.mark.usefixtures("watched")
def test_who_waits_for_an_alert_finds_it_on_the_real_page(tmp_path: Path) -> None:
    site = Site(tmp_path)
    eve = Browser(site)
    eve.sign_in("eve")
    page = OnConsole(cast("httpx.Client", SimpleNamespace(get=partial(eve.ask, "GET"))))
    assert page.told("fraud", {"auc_fell", "covariate_drift", "fell"}) == ["auc_fell", "covariate_drift"]
    assert page.told("activity", {"auc_fell"}) == []
    site.close()
