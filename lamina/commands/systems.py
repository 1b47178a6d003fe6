"""The system that a command line names, or that is meant where it names none."""

from __future__ import annotations

from typing import Annotated

import typer

from lamina.definitions import system_names, usual_system


def _named(system: str) -> str:
    if not system:
        raise typer.BadParameter(f"more than one has a model: name one of {', '.join(system_names())}")
    return system


SystemName = Annotated[
    str, typer.Option("--system", callback=_named, help="System, a module of lamina.definitions.", show_default=False)
]
DEFAULT_SYSTEM = usual_system() or ""
"""Empty where there is no usual one: then a command line has to name one, and is told which there are."""
