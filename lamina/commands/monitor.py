"""`lamina monitor`: how systems do, and what somebody should be told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from lamina.commands.jobs import run_module
from lamina.commands.output import make_console, make_table
from lamina.commands.systems import DEFAULT_SYSTEM, SystemName
from lamina.definitions import record, system_names
from lamina.lake.layout import HOUR
from lamina.monitoring.hours import At, KnownAt, times_of
from lamina.settings import load_settings

app = typer.Typer(name="monitor", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add `monitor` to `parent`."""
    parent.add_typer(app, name="monitor")


@app.callback()
def group() -> None:
    """How models and features do: reports and alerts."""


@app.command("list")
def list_reports(system: Annotated[str, typer.Option(help="One system; all when left out.")] = "") -> None:
    """Show the newest report of every kind, and its alerts."""
    from lamina.monitoring.reports import Summary, kinds, newest

    lake = load_settings().lake_url
    rows, alerts = make_table("system", "report", "window ends (UTC)", "known before (UTC)", "alerts"), []
    for name in [system] if system else system_names():
        for kind in kinds(lake, name):
            report = newest(lake, name, kind, Summary)
            if report is None:
                continue
            rows.add_row(
                name, kind, _at(report.window.end_ms), _at(report.known_before_ms), str(len(report.alerts) or "none")
            )
            alerts += [f"{name} {kind}, {alert.severity}: {alert.message}" for alert in report.alerts]
    console = make_console()
    if not rows.row_count:
        console.print("there are no reports: DAG monitoring_<system> makes them, and so do the commands of this group")
        return
    console.print(rows)
    for line in alerts:
        console.print(line, markup=False, soft_wrap=True)


@app.command()
def performance(at: At, known_at: KnownAt = None, system: SystemName = DEFAULT_SYSTEM) -> None:
    """Report how well the models did, by answers whose labels are complete; replaces the report of that hour."""
    # Slices are said where the system's model is, which nothing of lamina may import.
    known = [] if known_at is None else ["--known-at", known_at.isoformat(timespec="seconds")]
    raise typer.Exit(run_module(f"models.{system}.performance", ["--at", f"{at:{HOUR}}", *known]))


@app.command()
def estimated(at: At, known_at: KnownAt = None, system: SystemName = DEFAULT_SYSTEM) -> None:
    """Report how well the models probably do where no label has come yet; replaces the report of that hour."""
    from lamina.monitoring.command import publish
    from lamina.monitoring.estimated import estimated as estimate
    from lamina.monitoring.estimated import times_to_read
    from lamina.monitoring.pages import estimated_page
    from lamina.monitoring.rows import COLUMNS, reader

    settings, of = load_settings(), record(system)
    hour, end_ms, known_before_ms = times_of(at, known_at, settings.clock)
    joined = reader(settings.lake_url, system)(COLUMNS, *times_to_read(of, end_ms))
    report = estimate(of, joined, end_ms=end_ms, known_before_ms=known_before_ms)
    publish(settings, hour, report, estimated_page(report, of.watching))


@app.command()
def drift(
    at: At,
    known_at: KnownAt = None,
    system: SystemName = DEFAULT_SYSTEM,
    page: Annotated[
        bool, typer.Option("--page", help="Put Evidently's page beside the version even if nothing drifted.")
    ] = False,
) -> None:
    """Report what drifted of features, scores and labels; replaces the report of that hour."""
    from lamina.monitoring.command import publish
    from lamina.monitoring.drift.page import drift_page
    from lamina.monitoring.drift.watch import watch
    from lamina.monitoring.drift.with_page import with_page
    from lamina.monitoring.reports import PAGE, write_report
    from lamina.registry.mlflow import MlflowRegistry

    settings, of = load_settings(), record(system)
    hour, end_ms, known_before_ms = times_of(at, known_at, settings.clock)
    registry = MlflowRegistry(settings.mlflow_uri)
    watched = watch(of, registry, settings.lake_url, end_ms=end_ms, known_before_ms=known_before_ms)
    publish(settings, hour, watched.report, drift_page(watched.report))
    if page or watched.report.alerts:
        report = with_page(registry, watched)
        if report.page is not None:
            write_report(settings.lake_url, hour, report, {PAGE: drift_page(report)})


def _at(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M")
