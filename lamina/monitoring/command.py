"""`python -m models.<system>.performance --at HOUR`: what every system's command does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lamina.monitoring.hours import At, KnownAt, times_of
from lamina.monitoring.reports import PAGE, Report, write_report
from lamina.settings import Settings, load_settings

if TYPE_CHECKING:
    from lamina.evaluation.problem import Problem

LakeUrl = Annotated[str, typer.Option(help="Root of the lake; empty: from the settings.")]


def publish(settings: Settings, hour: datetime, report: Report, page: bytes) -> None:
    """Write the report with its page, and say where, and what is to be told."""
    url = write_report(settings.lake_url, hour, report, {PAGE: page})
    sys.stdout.write(f"{url}/{PAGE}\n")
    for alert in report.alerts:
        sys.stdout.write(f"{alert.severity}: {alert.message}\n")


def performance_command(problem: Problem) -> Callable[..., None]:
    """The command that reports how well the models of `problem` did, for typer to run."""

    def main(at: At, known_at: KnownAt = None, lake_url: LakeUrl = "") -> None:
        """Report how well the models did, by answers whose labels are complete; replaces the report of that hour."""
        from lamina.monitoring.baseline import own_evaluations
        from lamina.monitoring.pages import performance_page
        from lamina.monitoring.performance import performance
        from lamina.monitoring.rows import reader
        from lamina.registry.mlflow import MlflowRegistry

        settings = load_settings(lake_url=lake_url) if lake_url else load_settings()
        hour, end_ms, known_before_ms = times_of(at, known_at, settings.clock)
        report = performance(
            problem,
            reader(settings.lake_url, problem.system),
            own_evaluations(MlflowRegistry(settings.mlflow_uri), problem.system),
            end_ms=end_ms,
            known_before_ms=known_before_ms,
        )
        publish(settings, hour, report, performance_page(report, problem.record.watching))

    return main
