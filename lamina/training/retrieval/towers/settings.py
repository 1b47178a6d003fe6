"""Settings of two towers, and what they are written down in for the process that trains."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from lamina.training.retrieval.protocol import BadSetting

SETTINGS_FILE = "settings.json"
CHECKPOINT_FILE = "checkpoint.pt"
DONE_FILE = "done.json"
"""Written last: a folder without it holds no towers that are whole."""
Correction = Literal["streaming", "exact", "none"]


@dataclass(frozen=True)
class TowerSettings:
    """How towers are made.

    dimensions: numbers in a vector. hidden: units of each head's hidden layer, 0 for none. batch: pairs in a step, of
    all processes together. rate, decay: of AdamW. temperature: scores are divided by it in training. correction: what
    the logarithm of an item's count in a batch, which is taken off its score as a negative, comes from. unknown: share
    of the examples whose ids are hidden, so that history and words learn to speak for themselves. forgotten: share of
    each history that is left out, by chance in each epoch anew, against learning by heart. longest: items of a history
    that are read. buckets: rows of a table of words. checkpoint: steps between two.
    """

    dimensions: int = 64
    hidden: int = 0
    batch: int = 1024
    epochs: int = 8
    rate: float = 0.002
    decay: float = 1.0
    temperature: float = 1.0
    correction: Correction = "streaming"
    unknown: float = 0.5
    forgotten: float = 0.3
    longest: int = 200
    buckets: int = 4096
    seed: int = 0
    checkpoint: int = 200

    def check(self) -> None:
        """Nothing, where all are in their range.

        Raises: BadSetting: names one that is not.
        """
        for name in ("dimensions", "batch", "epochs", "rate", "temperature", "longest", "buckets", "checkpoint"):
            if not getattr(self, name) > 0:
                raise BadSetting(f"{name} of the towers is {getattr(self, name)}: it is to be above zero")
        if self.hidden < 0 or self.decay < 0 or not (0 <= self.unknown <= 1 and 0 <= self.forgotten < 1):
            raise BadSetting("of the towers hidden and decay are from 0 on, unknown from 0 to 1, forgotten below 1")
        if self.correction not in ("streaming", "exact", "none"):
            raise BadSetting(f"correction of the towers is {self.correction!r}: take streaming, exact or none")

    def write(self, folder: Path) -> None:
        """Keep them in `folder`."""
        (folder / SETTINGS_FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> TowerSettings:
        """Those that `write` kept."""
        return cls(**json.loads((folder / SETTINGS_FILE).read_bytes()))
