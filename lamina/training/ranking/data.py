"""What a ranker is trained on, as files: encoded rows to learn from and to watch, with what became of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lamina.scoring.inputs import Input
from lamina.scoring.ranker.heads import Head
from lamina.training.ranking.settings import RankerSettings

EXAMPLES_FILE = "examples.json"
LEARN, VALID = "learn", "valid"
Float32s = NDArray[np.float32]


@dataclass(frozen=True)
class Shown:
    """Rows that were shown, encoded.

    matrix: float32[n, inputs], NaN where a number is missing. truth: float32[n, heads], as the
    recipe says it, NaN where it is not known.
    position: int64[n], 1 for the top, 0 where it is not known. weight: float32[n], for how many rows each counts.
    """

    matrix: Float32s
    truth: Float32s
    position: NDArray[np.int64]
    weight: Float32s

    def __len__(self) -> int:
        return len(self.matrix)

    def write(self, folder: Path, name: str) -> None:
        """One file for each array."""
        for field in ("matrix", "truth", "position", "weight"):
            np.save(folder / f"{name}_{field}.npy", getattr(self, field))

    @classmethod
    def read(cls, folder: Path, name: str) -> Shown:
        """What `write` wrote."""
        return cls(*(np.load(folder / f"{name}_{field}.npy") for field in ("matrix", "truth", "position", "weight")))


@dataclass(frozen=True)
class Examples:
    """Rows to learn from and rows of later days that say when to stop.

    heads: in the order of the truth's columns. sizes: of each input how many codes it has, 0 for a number.
    """

    heads: tuple[Head, ...]
    sizes: tuple[int, ...]
    learn: Shown
    valid: Shown

    def write(self, folder: Path, settings: RankerSettings) -> None:
        """Write all that the training needs into `folder`, which is created."""
        folder.mkdir(parents=True)
        self.learn.write(folder, LEARN)
        self.valid.write(folder, VALID)
        content = {"heads": [head.model_dump() for head in self.heads], "sizes": self.sizes}
        (folder / EXAMPLES_FILE).write_text(json.dumps(content), encoding="utf-8")
        settings.write(folder)

    @classmethod
    def read(cls, folder: Path) -> Examples:
        """What `write` wrote."""
        found = json.loads((folder / EXAMPLES_FILE).read_bytes())
        heads = tuple(Head.model_validate(head) for head in found["heads"])
        return cls(heads, tuple(found["sizes"]), Shown.read(folder, LEARN), Shown.read(folder, VALID))


def sizes_of(inputs: Sequence[Input]) -> tuple[int, ...]:
    """Codes of each input, that of any other value among them; 0 for a number.

    >>> sizes_of([Input(name="n", meaning=""), Input(name="kind", meaning="", categories=("web", "shop"))])
    (0, 3)
    """
    return tuple(0 if part.categories is None else len(part.categories) + 1 for part in inputs)
