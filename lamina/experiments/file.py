"""The experiment file: read whole or refused, with words that say what to change."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import yaml
from pydantic import ValidationError

from lamina.errors import LaminaError
from lamina.experiments.experiment import ExperimentBook


class ExperimentError(LaminaError):
    """An experiment file that cannot be right; the message names the file, the place in it and what to change."""


def load_experiments(file: Path, fields: Collection[str]) -> ExperimentBook:
    """The content of `file`, whose conditions may speak of `fields`.

    Raises: ExperimentError: for anything that cannot be right, unknown keys among it.
    """
    try:
        book = ExperimentBook.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        sentences = [f"{'.'.join(str(part) for part in each['loc']) or 'file'}: {each['msg']}" for each in found]
        raise ExperimentError(f"{file}: {'; '.join(sentences)}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ExperimentError(f"{file}: {error}") from error
    if book.experiment is not None:
        unknown = sorted({condition.field for condition in book.experiment.targeting} - set(fields))
        if unknown:
            known = ", ".join(sorted(fields))
            raise ExperimentError(f"{file}: targeting: no field {', '.join(unknown)}; there are {known}")
    return book
