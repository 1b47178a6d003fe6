"""Tables on a terminal and in a pipe: no cell is ever cut, since a name that lost its end names nothing."""

from __future__ import annotations

import sys
from collections.abc import Collection

from rich.console import Console, JustifyMethod
from rich.table import Table

PIPE_WIDTH = 1000
"""Of a line that no terminal shows: who reads it takes it apart at its blanks."""


def make_console() -> Console:
    """The console of standard output; lines break on a terminal only."""
    return Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)


def make_table(*headings: str, whole: Collection[str] = (), right: Collection[str] = ()) -> Table:
    """An empty table without borders whose cells go on in the next line where they are too long.

    Args: whole: headings of the columns that are not broken into lines; right: of those that are right-justified.
    """
    made = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    for name in headings:
        side: JustifyMethod = "right" if name in right else "left"
        made.add_column(name, justify=side, no_wrap=name in whole, overflow="fold")
    return made


def print_markdown(text: str) -> None:
    """Laid out on a terminal; in a pipe as it is."""
    from rich.markdown import Markdown

    console = make_console()
    console.print(Markdown(text)) if console.is_terminal else console.print(text, markup=False, highlight=False)
