"""How every program of lamina ends when something is wrong that a person can put right."""

from __future__ import annotations

import sys
from collections.abc import Callable

from pydantic import ValidationError

from lamina.errors import LaminaError
from lamina.setting_names import variable
from lamina.settings import Settings


def run(main: Callable[[], object]) -> None:
    """Run `main`; one of lamina's own errors, or settings that cannot be right, end the process with exit code 1 and
    their sentence alone on standard error.
    """
    try:
        main()
    except LaminaError as error:
        _end(str(error), error)
    except ValidationError as error:
        sentence = _told(error)
        if sentence is None:
            raise
        _end(sentence, error)


def _end(sentence: str, error: Exception) -> None:
    sys.stderr.write(f"{sentence}\n")
    raise SystemExit(1) from error


def _told(error: ValidationError) -> str | None:
    """What is wrong with the settings, a line each, without what was given; None when it is no error of theirs."""
    if error.title != Settings.__name__:
        return None
    lines = []
    for wrong in error.errors(include_url=False, include_context=False, include_input=False):
        where = variable(str(wrong["loc"][0])) if wrong["loc"] else ""
        what = wrong["msg"].removeprefix("Value error, ")
        lines.append(what if not where or where in what else f"{where}: {what}")
    return "\n".join(lines)
