"""The experiment file: read whole or refused, with words that say what to change."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from pydantic import ValidationError

from lamina.errors import LaminaError
from lamina.experiments.experiment import Condition, ExperimentBook
from lamina.yaml_files import read_yaml, sentence


class ExperimentError(LaminaError):
    """An experiment file that cannot be right; the message names the file, the place in it and what to change."""


def load_experiments(
    file: Path, fields: Collection[str], never: Callable[[Condition], str | None] = lambda condition: None
) -> ExperimentBook:
    """The content of `file`, whose conditions may speak of `fields`.

    Args: never: why no request fulfils a condition on one of the fields, or None where some may.

    Raises: ExperimentError: for anything that cannot be right, unknown keys among it.
    """
    content = read_yaml(file, ExperimentError)
    try:
        book = ExperimentBook.model_validate(content)
    except ValidationError as error:
        found = error.errors(include_url=False)
        sentences = [f"{'.'.join(str(part) for part in each['loc']) or 'file'}: {sentence(each)}" for each in found]
        raise ExperimentError(f"{file}: {'; '.join(sentences)}") from None
    if book.experiment is not None:
        unknown = sorted({condition.field for condition in book.experiment.targeting} - set(fields))
        if unknown:
            known = ", ".join(sorted(fields))
            raise ExperimentError(f"{file}: targeting: no field {', '.join(unknown)}; there are {known}")
        for place, condition in enumerate(book.experiment.targeting):
            if wrong := never(condition):
                raise ExperimentError(f"{file}: targeting.{place}: {wrong}")
    return book
