"""`lamina up`, `down`, `restart`, `status` and `doctor`: the local stack from the command line."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from lamina.commands.output import make_console, make_table
from lamina.definitions import load, system_names
from lamina.demo import left
from lamina.settings import Settings, load_settings

if TYPE_CHECKING:
    from lamina.local.stack import Stack

COLOURS = {"running": "green", "starting": "yellow", "failed": "red", "stopped": "dim"}


def register(app: typer.Typer) -> None:
    """Add the five commands to `app`."""
    app.command()(up)
    app.command()(down)
    app.command()(restart)
    app.command()(status)
    app.command()(doctor)


def _table(stack: Stack) -> Table:
    rows = make_table("service", "state", "pid", "address", "up", "memory", right={"up", "memory"})
    for state in stack.status():
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


def _stack(demo: bool, names: Sequence[str] = ()) -> Stack:
    """The platform's stack, or the one that the demo has left; `names` are the services to start, all without.

    Raises: StackError: when there was no demo.
    """
    from lamina.local.stack import Stack

    folder, env = load_settings().stack_dir, None
    if demo:
        folder = left.folder_of(folder)
        env = {**os.environ, **left.variables_of(folder)}
    return Stack(folder, services=names or None, env=env)


def next_commands(stack: Stack, *, demo: bool = False) -> tuple[tuple[str, str], ...]:
    """What to do with a stack that runs, and the command: the first three that bring it to life, and how it stops."""
    # The commands find the platform's stack by themselves.
    of = f"LAMINA_STACK_DIR={shlex.quote(str(stack.layout.stack_dir))} " if demo else ""
    lamina, stop = f"{of}.venv/bin/lamina", ("stop it", f"make down{' DEMO=1' if demo else ''}")
    if demo:
        return (
            ("see the model that serves", f"{lamina} models list"),
            ("see what is known of a merchant or user", f"{lamina} features get user ID --explain"),
            ("ask the API whether all is well", f"curl -s {stack.addresses['api']}/health/ready"),
            stop,
        )
    return (
        ("bring in your transactions", f"{lamina} import transactions FILE --mapping M"),
        ("compute their features", f"{lamina} features backfill --from FIRST --to LAST"),
        ("ask the API whether all is well", f"curl -s {stack.addresses['api']}/health/ready"),
        stop,
    )


Demo = Annotated[bool, typer.Option("--demo", help="The stack that `make demo` has left, with its lake and model.")]


def up(
    only: Annotated[str, typer.Option(help="Services to start, with commas between; what they need starts too.")] = "",
    keep: Annotated[bool, typer.Option(help="When a service fails, leave the others up to be looked at.")] = False,
    demo: Demo = False,
) -> None:
    """Start the stack, wait until all of it is ready, create its topics and submit its stream jobs."""
    from lamina.local.streams import start_streams

    names = [name.strip() for name in only.split(",") if name.strip()]
    console = make_console()
    stack = _stack(demo, names)
    with console.status(f"starting {', '.join(names) or 'the stack'} ..."):
        stack.start(keep=keep)
        if not names:
            start_streams(stack, stack.settings())
    console.print(_table(stack))
    if names:
        return
    for system in _waiting(stack.settings()):
        command = f"lamina features rollout --system {system} --start"
        console.print(f"\nThe features of {system} are read as they were before the code defined them anew: {command}")
    if not demo:
        console.print("\nThis is the platform's own stack; what `make demo` has left is another: make up DEMO=1")
    console.print("\nnext:")
    for what, command in next_commands(stack, demo=demo):
        console.print(f"  {what + ':':42} {command}", markup=False, highlight=False, soft_wrap=True)


def _waiting(settings: Settings) -> list[str]:
    from lamina.rollout.generation import Generation
    from lamina.rollout.records import is_waiting

    return [system for system in system_names() if is_waiting(settings.lake_url, Generation(load(system)))]


def down(demo: Demo = False) -> None:
    """Stop the stack and anything it left behind."""
    console = make_console()
    with console.status("stopping ..."):
        strays = _stack(demo).stop()
    console.print(f"stopped{f'; ended {len(strays)} stray processes' if strays else ''}")


def restart(
    names: Annotated[
        list[str], typer.Argument(metavar="SERVICE...", help="Such as api: it then runs the code as it is now.")
    ],
    demo: Demo = False,
) -> None:
    """Stop services of a stack that runs and start them again, one after the other."""
    console, stack = make_console(), _stack(demo, names)
    for name in names:
        with console.status(f"restarting {name} ..."):
            stack.restart_service(name)
    console.print(_table(stack))


def status(demo: Demo = False) -> None:
    """Show each service, its address, memory and age."""
    make_console().print(_table(_stack(demo)))


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
