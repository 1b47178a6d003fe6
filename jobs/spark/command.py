"""What the command lines of the daily jobs share: a system and a day in, one line of JSON out, an error in one
sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any

import orjson
import typer

from lamina import entry
from lamina.clock import require_over
from lamina.commands.systems import DEFAULT_SYSTEM, SystemName
from lamina.settings import Settings

__all__ = [
    "DEFAULT_SYSTEM",
    "LakeUrl",
    "LogicalDate",
    "SystemName",
    "overrides",
    "processed",
    "report",
    "run",
]

LogicalDate = Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="Logical date, a UTC day.")]
LakeUrl = Annotated[str | None, typer.Option("--lake-url", help="Root of the lake; else that of the settings.")]


def overrides(lake_url: str | None) -> dict[str, object]:
    """What the command line says of the settings."""
    return {"lake_url": lake_url} if lake_url else {}


def processed(day: datetime, settings: Settings) -> date:
    """The day that a command line names, once it is over.

    Raises: DayNotOver: see `lamina.clock.require_over`.
    """
    return require_over(day.date(), settings.clock)


def report(job: str, system: str, day: date, figures: dict[str, Any]) -> None:
    """Print what a job did, as one line of JSON."""
    line = {"job": job, "system": system, "date": day.isoformat(), **figures}
    print(orjson.dumps(line).decode(), flush=True)


def run(main: Callable[..., None]) -> None:
    """Run a job's `main` with the process's arguments; lamina's own errors end it with their sentence alone."""
    entry.run(lambda: typer.run(main))
