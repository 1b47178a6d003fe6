"""What was measured of a system, for the page that shows it: the newest report of each kind, with tables and charts.

Every function may take seconds: it runs in a thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from pydantic import ConfigDict

from lamina import definitions
from lamina.contracts.watching import Watching
from lamina.lake import layout
from lamina.monitoring import reports
from lamina.monitoring.drift.findings import Finding, State
from lamina.monitoring.drift.report import KIND as DRIFT
from lamina.monitoring.drift.report import DriftReport
from lamina.monitoring.exported import FORMS
from lamina.monitoring.forms import Estimate, EstimatedReport, Figure, Group, PerformanceReport
from lamina.monitoring.reports import BrokenMonitoringReport
from serving.console.charts import Chart, Point, Series, chart
from serving.console.heat import Heat, beyond, heat

DRAWN = {"auc": "AUC", "average_precision": "average precision"}
HEAT_HOURS = 24
"""Reports of drift that are shown beside each other."""


class Unknown(reports.Summary):
    """A report of a kind that has no form here, with what only its kind has."""

    model_config = ConfigDict(extra="allow", frozen=True)


@dataclass(frozen=True)
class Watched:
    """The newest report of one kind. folder: of its page, within the lake; problem: why there is no report to show."""

    kind: str
    hour: datetime
    folder: str
    report: reports.Report | None
    problem: str = ""

    @property
    def found(self) -> dict[str, Any]:
        """Of a kind without a form, the figures that are single numbers or texts."""
        if not isinstance(self.report, Unknown):
            return {}
        extra = (self.report.model_extra or {}).items()
        return {name: each for name, each in extra if isinstance(each, int | float | str) or each is None}


@dataclass(frozen=True)
class Beside:
    """A figure of a version: estimated of its last days, realised of its last days with complete labels, of its own
    evaluation, and the mean distance of estimates and truth.
    """

    version: str
    name: str
    estimated: Estimate | None
    realised: Figure | None
    own: float | None
    error: float | None


@dataclass(frozen=True)
class Seen:
    """What the page shows of a system. kinds: in alphabetical order; beside, charts, heat: of all of them together."""

    kinds: Sequence[Watched]
    beside: Sequence[Beside]
    charts: Sequence[Chart]
    heat: Heat | None


def seen(lake: str, system: str) -> Seen:
    """What the newest reports say, and those of drift before it. One that cannot be read says so in its place."""
    kinds = watched(lake, system)
    found = {each.kind: each.report for each in kinds}
    performance, estimated = found.get("performance"), found.get("estimated")
    realised = performance if isinstance(performance, PerformanceReport) else None
    guessed = estimated if isinstance(estimated, EstimatedReport) else None
    before = list(_drift_reports(lake, system)) if DRIFT in found else []
    return Seen(
        kinds,
        list(_beside(realised, guessed)),
        list(_charts(realised, guessed, definitions.record(system).watching)),
        heat(before) if len(before) > 1 else None,
    )


def watched(lake: str, system: str) -> list[Watched]:
    """The newest report of each kind; none where nothing was measured."""
    found = []
    for kind in reports.kinds(lake, system):
        if hours := reports.hours(lake, system, kind):
            hour = hours[-1]
            folder = layout.monitoring("", system, kind, hour).lstrip("/")
            try:
                report = reports.read_report(lake, system, kind, hour, FORMS.get(kind, Unknown))
                found.append(Watched(kind, hour, folder, report, "" if report else "it is being made anew"))
            except BrokenMonitoringReport as error:
                found.append(Watched(kind, hour, folder, None, str(error)))
    return found


def ordered(findings: Sequence[Finding]) -> list[Finding]:
    """What drifted first, and what is furthest beyond its threshold."""
    return sorted(findings, key=lambda f: (f.state is not State.DRIFTED, -beyond(f), f.kind, f.subject))


def figure_names(groups: Sequence[Group]) -> list[str]:
    """Names of all figures that groups have, as reports order them."""
    return list(dict.fromkeys(name for group in groups for name in group.figures))


def _drift_reports(lake: str, system: str) -> Iterator[tuple[datetime, DriftReport]]:
    for hour in reports.hours(lake, system, DRIFT)[-HEAT_HOURS:]:
        try:
            report = reports.read_report(lake, system, DRIFT, hour, DriftReport)
        except BrokenMonitoringReport:
            continue  # the newest one says so; an older one is only missed here
        if report is not None:
            yield hour, report


def _beside(realised: PerformanceReport | None, guessed: EstimatedReport | None) -> Iterator[Beside]:
    whole = {g.model_version: g for g in realised.groups if g.is_whole and not g.shadow} if realised else {}
    parts = {part.model_version: part for part in guessed.parts if part.day is None} if guessed else {}
    for version in sorted({*whole, *parts}, key=_as_number):
        true: Mapping[str, Figure] = whole[version].figures if version in whole else {}
        said: Mapping[str, Estimate] = parts[version].figures if version in parts else {}
        own = (realised.baselines if realised else {}).get(version, {})
        errors = (guessed.mean_error if guessed else {}).get(version, {})
        for name in dict.fromkeys((*true, *said)):
            yield Beside(version, name, said.get(name), true.get(name), own.get(name), errors.get(name))


def _charts(realised: PerformanceReport | None, guessed: EstimatedReport | None, watching: Watching) -> Iterator[Chart]:
    days = [group for group in realised.groups if group.day and not group.shadow] if realised else []
    parts = [part for part in guessed.parts if part.day] if guessed else []
    versions = sorted({d.model_version for d in days} | {p.model_version for p in parts}, key=_as_number)
    for name, title in DRAWN.items():
        series = []
        for colour, version in enumerate(versions):
            true = [(each.day or "", each.figures.get(name)) for each in days if each.model_version == version]
            said = [(each.day or "", each.figures.get(name)) for each in parts if each.model_version == version]
            series.append(Series(f"version {version}, realised", colour, _points(true)))
            series.append(Series(f"version {version}, estimated", colour, _points(said), dashed=True))
        if any(each.points for each in series):
            levels = {"alert below": watching.min_auc} if name == "auc" else {}
            yield chart(f"{title} by day", series, levels, _day)


def _points(found: Sequence[tuple[str, Figure | Estimate | None]]) -> list[Point]:
    return [
        Point(date.fromisoformat(day).toordinal(), each.value, f"{day}: {each.value:.3f}", each.low, each.high)
        for day, each in sorted(found, key=lambda pair: pair[0])
        if each is not None
    ]


def _day(at: float) -> str:
    return datetime.fromordinal(int(at)).replace(tzinfo=UTC).strftime("%-d %b")


def _as_number(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdigit() else (-1, version)
