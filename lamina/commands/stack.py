"""`lamina up`, `down`, `status` and `doctor`: the local stack from the command line."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from lamina.commands.output import make_console, make_table
from lamina.settings import load_settings

COLOURS = {"running": "green", "starting": "yellow", "failed": "red", "stopped": "dim"}


def register(app: typer.Typer) -> None:
    """Add the four commands to `app`."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(doctor)


def _table() -> Table:
    from lamina.local.stack import Stack

    rows = make_table("service", "state", "pid", "address", "up", "memory", right={"up", "memory"})
    for state in Stack(load_settings().stack_dir).status():
        minutes, seconds = divmod(state.uptime_s, 60)
        rows.add_row(
            state.name,
            f"[{COLOURS[state.state]}]{state.state}[/]",
            " ".join(map(str, state.pids)) or "-",
            state.address if state.pids else "-",
            f"{minutes}:{seconds:02d}" if state.pids else "-",
            f"{state.memory_mb} MB" if state.pids else "-",
        )
    return rows


def up(
    only: Annotated[str, typer.Option(help="Services to start, with commas between; what they need starts too.")] = "",
    keep: Annotated[bool, typer.Option(help="When a service fails, leave the others up to be looked at.")] = False,
) -> None:
    """Start the stack, wait until all of it is ready, create its topics and submit its stream jobs."""
    from lamina.local.stack import Stack
    from lamina.local.streams import start_streams

    names = [name.strip() for name in only.split(",") if name.strip()]
    console = make_console()
    stack = Stack(load_settings().stack_dir, services=names or None)
    with console.status(f"starting {', '.join(names) or 'the stack'} ..."):
        stack.start(keep=keep)
        if not names:
            start_streams(stack, load_settings())
    console.print(_table())


def down() -> None:
    """Stop the stack and anything it left behind."""
    from lamina.local.stack import Stack

    console = make_console()
    with console.status("stopping ..."):
        strays = Stack(load_settings().stack_dir).stop()
    console.print(f"stopped{f'; ended {len(strays)} stray processes' if strays else ''}")


def status() -> None:
    """Show each service, its address, memory and age."""
    make_console().print(_table())


def doctor() -> None:
    """Check what the stack needs; exits with 1 when something is wrong, and says what to install."""
    from lamina.local.doctor import Verdict, examine

    console, findings = make_console(), examine()
    marks = {Verdict.GOOD: "[green]ok[/]  ", Verdict.WARN: "[yellow]note[/]", Verdict.BAD: "[red]bad[/] "}
    for finding in findings:
        advice = f"\n       -> {finding.advice}" if finding.advice else ""
        console.print(f"{marks[finding.verdict]} {finding.what}: {finding.found}{advice}", highlight=False)
    if any(finding.verdict is Verdict.BAD for finding in findings):
        raise typer.Exit(1)
