"""The stages of the main job as a person follows them: what runs now, how long it took, what came out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lamina.errors import LaminaError
from lamina.reporting.results import Figure, Stage

TAIL_LINES = 20


class StageFailed(LaminaError):
    """A stage did not end well; the message names it, shows the end of the right log and says what to do."""


@dataclass
class Running:
    """A stage under way: set `rows` and `figures` as they become known."""

    rows: int | None = None
    figures: dict[str, Figure] = field(default_factory=dict)


class Stages:
    """Runs stages, also several at once, and remembers them in the order of their ends."""

    def __init__(self, console: Console, logs: Path) -> None:
        self.console, self._logs = console, logs
        self.done: list[Stage] = []

    @contextmanager
    def run(self, name: str, *, log: str | None = None) -> Iterator[Running]:
        """One stage; `log` names the program whose log explains a failure that does not explain itself.

        Raises: StageFailed: in place of any error of the stage.
        """
        running, started = Running(), time.monotonic()
        self.console.print(f"[bold]{name}[/] ...", highlight=False)
        try:
            yield running
        except KeyboardInterrupt:
            raise
        except Exception as error:
            raise StageFailed(f"stage {name!r} failed: {error}{self._tail(error, log)}") from error
        seconds = time.monotonic() - started
        stage = Stage(name=name, rows=running.rows, seconds=seconds, figures=running.figures)
        self.done.append(stage)
        rows = "" if stage.rows is None else f", {stage.rows:,} rows"
        self.console.print(f"[bold]{name}[/]: {seconds:.1f} s{rows}{_text(stage.figures)}", highlight=False)

    def table(self) -> Table:
        """Everything that ran, with rows, seconds and figures."""
        table = Table(title="lamina: the main job", title_justify="left", header_style="bold")
        table.add_column("stage")
        table.add_column("rows", justify="right")
        table.add_column("seconds", justify="right")
        table.add_column("figures")
        for stage in self.done:
            rows = "" if stage.rows is None else f"{stage.rows:,}"
            table.add_row(stage.name, rows, f"{stage.seconds:.1f}", _text(stage.figures).removeprefix(", "))
        return table

    def _tail(self, error: Exception, log: str | None) -> str:
        # lamina's own errors say what happened and what to do; others say where in the code.
        if isinstance(error, LaminaError) or log is None:
            return ""
        file = self._logs / f"{log}.log"
        lines = file.read_text(errors="replace").splitlines()[-TAIL_LINES:] if file.exists() else ["(no log)"]
        text = "\n".join(f"  | {line}" for line in lines)
        return f"\nthe end of {file}:\n{text}\nRun again with KEEP=1 to leave the stack up and look at it."


def _text(figures: dict[str, Figure]) -> str:
    return "".join(f", {name} {_number(value)}" for name, value in figures.items())


def _number(value: Figure) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else value
