"""`python -m lamina.demo`: run the main job, print its table, write its report, and stop what was started."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lamina import entry
from lamina.clock import next_day
from lamina.demo import left
from lamina.demo.job import MainJob
from lamina.demo.story import Options, load_story
from lamina.errors import LaminaError
from lamina.local.stack import Stack
from lamina.reporting.report import write
from lamina.settings import UNSCHEDULED, load_settings


def main(
    system: Annotated[str, typer.Option(envvar="SYSTEM", help="Whose demo to run.")] = "fraud",
    data: Annotated[
        str, typer.Option(envvar="DATA", help="Folder with third-party files; empty: the simulated world.")
    ] = "",
    keep: Annotated[
        bool, typer.Option("--keep", envvar="KEEP", help="Leave the stack up and print its addresses.")
    ] = False,
    rate: Annotated[float | None, typer.Option(min=1, help="Requests a second on the live day.")] = None,
    users: Annotated[int | None, typer.Option(min=50, help="Users of the simulated world.")] = None,
    days: Annotated[int | None, typer.Option(min=30, help="Days of the simulated world.")] = None,
    acts: Annotated[int, typer.Option(envvar="ACTS", min=1, max=2, help="1 leaves out the change of the world.")] = 2,
) -> None:
    """Run the main job of a system, from history to a report; what is not said is as the system's story has it."""
    console = Console()
    home = load_settings().stack_dir
    folder = left.folder_of(home)
    with tempfile.TemporaryDirectory(prefix="lamina-demo-") as scratch:
        story = load_story(system, Options(users, days, Path(data) if data else None, Path(scratch)))
        if acts == 1:
            story = replace(story, second=None)
        _clear(folder)
        # Old events are replayed: a scheduled run for yesterday would take them for yesterday's.
        own = {
            **story.prepare(folder),
            "LAMINA_DAG_SCHEDULE": UNSCHEDULED,
            "LAMINA_SERVED_SYSTEMS": story.system,
            # That of the jobs: each is run for a day, and knows what was known by its end.
            "LAMINA_CLOCK_AT": f"{next_day(story.last_day)}T00:00:00Z",
        }
        left.note(folder, own)
        stack = Stack(folder, env={**os.environ, **own})
        job = MainJob(story, stack, console, rate or story.rate_s)
        try:
            results, page = job.run()
            name = f"{results.system}-{results.started_at:%Y%m%d-%H%M%S}.html"
            report = write(results, page, home / "reports" / name)
        finally:
            if not keep:
                stack.stop()
    console.print(job.stages.table())
    console.print(f"\nlost: {results.lost}   served values that no event explains: {results.wrong}")
    console.print(f"report: {report}", soft_wrap=True)
    if keep:
        for name, address in stack.addresses.items():
            console.print(f"  {name:8} {address}")
        console.print("stop it with: make down DEMO=1")
    else:
        console.print("its lake, model and topics are kept: make up DEMO=1 starts the stack on them again")
    failed = results.repair.failures if results.repair else 0
    if results.lost or results.wrong or failed:
        raise LaminaError(
            f"{results.lost} rows lost, {results.wrong} values wrong, {failed} requests failed: see {report}"
        )


def _clear(folder: Path) -> None:
    """Every run begins with nothing: what an earlier one left running is stopped, its data deleted."""
    if folder.exists():
        Stack(folder).stop()
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


if __name__ == "__main__":
    entry.run(lambda: typer.run(main))
