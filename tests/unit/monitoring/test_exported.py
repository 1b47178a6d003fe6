"""Gauges say what the newest reports say, and nothing of versions that these do not speak of any more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from lamina.monitoring.drift.findings import Finding, Kind, State
from lamina.monitoring.drift.report import DriftReport
from lamina.monitoring.exported import Exported
from lamina.monitoring.forms import Counts, Estimate, EstimatedPart, EstimatedReport, Figure, Group, PerformanceReport
from lamina.monitoring.reports import Alert, BrokenMonitoringReport, Window, write_report
from lamina.registry.memory import MemoryRegistry
from lamina.settings import load_settings
from serving.bootstrap import make_service

SEVEN = datetime(2018, 8, 21, 7, tzinfo=UTC)
NOBODY = Counts(answers=0, unscored=0, waiting=0, said_early=0, unknown=0, known=0, judged=0)


def report(*groups: Group, alerts: int = 0, end_ms: int = 5000) -> PerformanceReport:
    window = Window(start_ms=0, end_ms=end_ms)
    low = Alert(name="auc_below_minimum", severity="critical", subject="3", value=0.6, threshold=0.7, message="")
    return PerformanceReport(
        system="fraud",
        known_before_ms=end_ms,
        window=window,
        recent=window,
        counts=NOBODY,
        baselines={},
        groups=groups,
        alerts=(low,) * alerts,
    )


def group(version: str, auc: Figure, **given: object) -> Group:
    return Group.model_validate(
        {"model_version": version, "rows": 900, "positives": 90, "figures": {"auc": auc}} | given
    )


def shown(name: str, version: str = "3", system: str = "fraud") -> float | None:
    labels = {"system": system, "model_version": version}
    return REGISTRY.get_sample_value(name, labels if name.endswith("labels") else labels | {"metric": "auc"})


def test_the_newest_verdict_is_shown_and_what_is_no_verdict_is_not(tmp_path: Path) -> None:
    lake, good = str(tmp_path), Figure(value=0.91, low=0.88, high=0.93)
    exported = Exported(lake)
    exported.show("fraud")
    assert shown("model_performance") is None
    write_report(
        lake,
        SEVEN,
        report(
            group("3", good),
            group("3", Figure(value=0.1), day="2018-08-09"),
            group("4", Figure(value=0.2), no_verdict="few"),
            group("5", Figure(value=0.3), shadow=True),
            alerts=2,
        ),
    )
    exported.show("fraud")
    assert [shown(f"model_performance{end}") for end in ("", "_low", "_high", "_labels")] == [0.91, 0.88, 0.93, 900]
    assert (shown("model_performance", "4"), shown("model_performance_labels", "4")) == (None, 900)
    assert shown("model_performance_labels", "5") is None
    alerts = {"system": "fraud", "report": "performance", "alert": "auc_below_minimum", "severity": "critical"}
    assert REGISTRY.get_sample_value("monitoring_alerts", alerts) == 2
    end = {"system": "fraud", "report": "performance"}
    assert REGISTRY.get_sample_value("monitoring_report_end_seconds", end) == 5

    write_report(lake, SEVEN + timedelta(hours=1), report(group("6", Figure(value=0.95)), end_ms=6000))
    exported.show("fraud")
    assert (shown("model_performance"), shown("model_performance_labels")) == (None, None)
    assert (shown("model_performance", "6"), shown("model_performance_low", "6")) == (0.95, None)
    assert REGISTRY.get_sample_value("monitoring_alerts", alerts) is None
    assert REGISTRY.get_sample_value("monitoring_report_end_seconds", end) == 6


def test_estimates_of_the_last_days_and_their_error_are_shown(tmp_path: Path) -> None:
    part = EstimatedPart(
        model_version="11",
        rows=9,
        figures={"auc": Estimate(value=0.8, sampling_error=0.01, low=0.77, high=0.83)},
    )
    window = Window(start_ms=0, end_ms=9)
    made = EstimatedReport(
        system="fraud",
        known_before_ms=9,
        window=window,
        recent=window,
        parts=(part, part.model_copy(update={"model_version": "12", "day": "2018-08-20"})),
        mean_error={"11": {"auc": 0.02}},
    )
    write_report(str(tmp_path), SEVEN, made)
    Exported(str(tmp_path)).show("fraud")
    ends = [shown(f"model_performance_estimated{end}", "11") for end in ("", "_low", "_high")]
    assert (*ends, shown("model_performance_estimate_error", "11")) == (0.8, 0.77, 0.83, 0.02)
    assert shown("model_performance_estimated", "12") is None, "a day alone is no verdict on now"


def no_verdict(kind: str) -> float | None:
    return REGISTRY.get_sample_value("monitoring_no_verdict", {"system": "fraud", "report": kind})


def test_a_performance_report_that_judges_no_version_is_seen_to_say_nothing(tmp_path: Path) -> None:
    exported = Exported(str(tmp_path))
    few, good = group("3", Figure(value=0.9), no_verdict="few"), group("4", Figure(value=0.9))
    of_a_day, shadow = (good.model_copy(update=update) for update in ({"day": "2018-08-09"}, {"shadow": True}))
    for groups, expected in (((), 1), ((few, of_a_day, shadow), 1), ((few, good), 0)):
        write_report(str(tmp_path), SEVEN, report(*groups))
        exported.show("fraud")
        assert no_verdict("performance") == expected


def test_an_estimate_of_a_past_day_alone_says_nothing_of_now(tmp_path: Path) -> None:
    window = Window(start_ms=0, end_ms=9)
    of_a_day = EstimatedPart(model_version="11", rows=9, day="2018-08-20")
    now = EstimatedPart(model_version="11", rows=9)
    few = now.model_copy(update={"no_verdict": "few"})
    for parts, expected in (((of_a_day,), 1), ((of_a_day, few), 1), ((few, now), 0)):
        made = EstimatedReport(
            system="fraud", known_before_ms=9, window=window, recent=window, parts=parts, mean_error={}
        )
        write_report(str(tmp_path), SEVEN, made)
        Exported(str(tmp_path)).show("fraud")
        assert no_verdict("estimated") == expected


def test_a_drift_report_that_could_compare_nothing_is_seen_to(tmp_path: Path) -> None:
    window = Window(start_ms=0, end_ms=9)
    blank = DriftReport(system="fraud", known_before_ms=9, window=window, labels=window)
    of = Finding(kind=Kind.COVARIATE, subject="amount", statistic="ks", threshold=0.1, reference_rows=9, rows=9)
    few, empty, stable, drifted = (
        replace(of, state=state) for state in (State.TOO_FEW, State.EMPTY, State.STABLE, State.DRIFTED)
    )
    for findings, expected in (((), 1), ((few, empty), 1), ((few, stable), 0), ((drifted, few), 0)):
        write_report(str(tmp_path), SEVEN, blank.model_copy(update={"findings": findings}))
        Exported(str(tmp_path)).show("fraud")
        assert no_verdict("drift") == expected


def test_a_report_that_cannot_be_read_leaves_the_gauges_as_they_are(tmp_path: Path) -> None:
    lake = str(tmp_path)
    url = write_report(lake, SEVEN, report(group("8", Figure(value=0.9))))
    exported = Exported(lake)
    exported.show("fraud")
    Path(url, "report.json").write_text("{")
    with pytest.raises(BrokenMonitoringReport):
        exported.show("fraud")
    assert shown("model_performance", "8") == 0.9


def test_the_api_reads_them_and_a_broken_one_does_not_stop_it(tmp_path: Path) -> None:
    service = make_service(load_settings(lake_url=str(tmp_path), stack_dir=tmp_path), registry=MemoryRegistry(tmp_path))
    url = write_report(str(tmp_path), SEVEN, report(group("9", Figure(value=0.9))))
    service.read_monitoring()
    assert shown("model_performance", "9") == 0.9
    Path(url, "report.json").write_text("{")
    service.read_monitoring()
    assert shown("model_performance", "9") == 0.9
