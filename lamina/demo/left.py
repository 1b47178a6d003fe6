"""What the demo leaves behind: a stack's folder with its lake, its model and its topics, and how it was started."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from lamina.errors import StackError

FOLDER = "demo"
VARIABLES = "demo.json"


def folder_of(stack_dir: Path) -> Path:
    """The folder of the demo's own stack, inside that of the platform's.

    >>> folder_of(Path("/srv/lamina")).as_posix()
    '/srv/lamina/demo'
    """
    return stack_dir / FOLDER


def note(folder: Path, variables: Mapping[str, str]) -> None:
    """Write down the variables that the demo's stack is started with."""
    (folder / VARIABLES).write_text(json.dumps(dict(variables), indent=2))


def variables_of(folder: Path) -> dict[str, str]:
    """The variables that the demo's stack was started with.

    Raises: StackError: when there was no demo.
    """
    file = folder / VARIABLES
    if not file.exists():
        raise StackError(f"no demo has left anything in {folder}: run `make demo` first")
    return {str(name): str(value) for name, value in json.loads(file.read_text()).items()}
