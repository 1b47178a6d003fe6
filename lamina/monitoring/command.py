"""`python -m models.<system>.performance --at HOUR`: what every system's command does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from lamina.clock import Clock, day_of
from lamina.errors import LaminaError
from lamina.evaluation.problem import Problem
from lamina.monitoring.reports import HOUR, HOUR_MS, Report, write_report
from lamina.settings import Settings, load_settings

if TYPE_CHECKING:
    from datetime import date

KNOWN_AT_FORMATS = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"]

At = Annotated[datetime, typer.Option(formats=[HOUR], help="The hour, UTC, such as 2018-08-21T07; it has to be over.")]
KnownAt = Annotated[
    datetime | None,
    typer.Option(formats=KNOWN_AT_FORMATS, help="Look at what was known before this time, UTC; else the hour's end."),
]
LakeUrl = Annotated[str, typer.Option(help="Root of the lake; empty: from the settings.")]


class HourNotOver(LaminaError):
    """An hour of which answers may still come."""


def times_of(at: datetime, known_at: datetime | None, clock: Clock) -> tuple[datetime, int, int]:
    """The hour, its end, and the time before which something must have been known, epoch ms.

    Raises: HourNotOver: when one of them is still to come.
    """
    hour = at.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
    end_ms = round(hour.timestamp() * 1000) + HOUR_MS
    known_ms = end_ms if known_at is None else round(known_at.replace(tzinfo=UTC).timestamp() * 1000)
    if max(end_ms, known_ms) > clock():
        now = datetime.fromtimestamp(clock() / 1000, tz=UTC)
        raise HourNotOver(
            f"{hour:{HOUR}} with what is known before {datetime.fromtimestamp(known_ms / 1000, tz=UTC):%Y-%m-%d %H:%M} "
            f"is not over: it is {now:%Y-%m-%d %H:%M} UTC. Give an hour before that; a replay says what time it is by "
            "LAMINA_CLOCK_AT"
        )
    return hour, end_ms, known_ms


def days_between(start_ms: int, end_ms: int) -> list[date]:
    """The days, UTC, that hold a time from `start_ms` to before `end_ms`.

    >>> [day.isoformat() for day in days_between(0, 86_400_001)]
    ['1970-01-01', '1970-01-02']
    """
    first, last = day_of(start_ms), day_of(end_ms - 1)
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def publish(settings: Settings, hour: datetime, report: Report) -> None:
    """Write the report, and say where, and what is to be told."""
    url = write_report(settings.lake_url, hour, report)
    sys.stdout.write(f"{url}/report.json\n")
    for alert in report.alerts:
        sys.stdout.write(f"{alert.severity}: {alert.message}\n")


def performance_command(problem: Problem) -> Callable[..., None]:
    """The command that reports how well the models of `problem` did, for typer to run."""

    def main(at: At, known_at: KnownAt = None, lake_url: LakeUrl = "") -> None:
        """Report how well the models did, by answers whose labels are complete; replaces the report of that hour."""
        from lamina.lake.joined import read_joined
        from lamina.monitoring.baseline import own_evaluations
        from lamina.monitoring.performance import days_to_read, performance
        from lamina.monitoring.rows import COLUMNS
        from lamina.registry.mlflow import MlflowRegistry

        settings = load_settings(lake_url=lake_url) if lake_url else load_settings()
        hour, end_ms, known_before_ms = times_of(at, known_at, settings.clock)
        days = days_between(*days_to_read(problem, end_ms, known_before_ms))
        report = performance(
            problem,
            read_joined(settings.lake_url, problem.system, COLUMNS, days=days),
            own_evaluations(MlflowRegistry(settings.mlflow_uri), problem.system),
            end_ms=end_ms,
            known_before_ms=known_before_ms,
        )
        publish(settings, hour, report)

    return main
