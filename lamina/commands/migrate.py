"""`lamina migrate`: leads over what the version before has left in lake, Kafka, Redis and model registry."""

from __future__ import annotations

from typing import Annotated

import typer

from lamina.commands.output import make_console
from lamina.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(migrate)


def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; only say what would be done.")] = False,
) -> None:
    """Lead over what the version before has left in lake, Kafka, Redis and registry; once done, nothing is to do."""
    from lamina.migrations.step import migrate as run
    from lamina.migrations.steps import STEPS

    console, done = make_console(), 0
    for step, task in run(STEPS, load_settings(), dry_run=dry_run):
        done += 1
        text = f"{step.name}: {'would ' if dry_run else 'done: '}{task.what}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    console.print(f"{done} tasks {'to do' if dry_run else 'done'}" if done else "nothing to do", highlight=False)
