"""The first rows of a file as a mapping would have them read: nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamina.ingest.mapping import TransactionMapping
from lamina.ingest.transactions import read_converted
from lamina.ingest.validate import first_problems

SHOWN = 5
STAND_IN = "a stand-in, for a look only"
"""Key of the hashes that are shown: the real one is not needed to look."""


@dataclass(frozen=True)
class Shown:
    """A row as it would be read: its number, the contract's fields, whether it is fraud, and why it is refused."""

    number: int
    fields: dict[str, Any]
    is_fraud: bool
    problem: str | None


def preview(path: Path, mapping: TransactionMapping, rows: int = SHOWN) -> list[Shown]:
    """The first `rows` rows of the file at `path`, unreadable lines left out."""
    for batch, converted in read_converted(path, mapping, mapping.salt or STAND_IN):
        problems = first_problems(converted)
        return [
            Shown(int(batch.numbers[row]), fields, bool(converted.is_fraud[row]), problems[row])
            for row, fields in enumerate(converted.events.slice(0, rows).to_pylist())
        ]
    return []
