"""`lamina monitor`: how systems do, and what somebody should be told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from lamina.commands.jobs import run_module
from lamina.commands.output import make_console, make_table
from lamina.commands.systems import DEFAULT_SYSTEM, SystemName
from lamina.definitions import system_names
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


At = Annotated[str, typer.Option(help="The hour, UTC, such as 2018-08-21T07; it has to be over.")]
KnownAt = Annotated[str, typer.Option(help="Look at what was known before this time, UTC; else the hour's end.")]


@app.command()
def performance(at: At, known_at: KnownAt = "", system: SystemName = DEFAULT_SYSTEM) -> None:
    """Report how well the models did, by answers whose labels are complete; replaces the report of that hour."""
    raise typer.Exit(run_module(f"models.{system}.performance", _times(at, known_at)))


def _times(at: str, known_at: str) -> list[str]:
    return ["--at", at, *(["--known-at", known_at] if known_at else [])]


def _at(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M")
