"""Settings of a ranker's training, and what they are written down in for the process that trains."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lamina.errors import LaminaError

SETTINGS_FILE = "settings.json"
DONE_FILE = "done.json"
"""Written last: a folder without it holds no network that is whole."""


class BadRankerSetting(LaminaError):
    """A setting of a ranker's training that is out of its range."""


@dataclass(frozen=True)
class RankerSettings:
    """How a ranker is trained.

    hidden: units of each shared layer, each with batch normalisation and dropout. embedding: numbers that stand for a
    category. positions: places that are told apart, from the top; all below count as the last, and 0 tells none apart.
    loss: how much each head's loss counts, 1 where nothing is said. batch: rows in a step. epochs: at most; the
    training ends where `patience` epochs brought no better loss on the validation rows, and the best one is kept.
    rate, decay: of AdamW. position_rate: that of what positions add, without decay: where the position and an input go
    together, the one that learns faster is given the credit, and it is the position that is known to matter.
    """

    hidden: tuple[int, ...] = (512, 256)
    dropout: float = 0.3
    embedding: int = 8
    positions: int = 50
    loss: Mapping[str, float] = field(default_factory=dict)
    batch: int = 1024
    epochs: int = 30
    patience: int = 3
    rate: float = 0.001
    position_rate: float = 0.02
    decay: float = 0.01
    seed: int = 0

    def check(self, heads: Sequence[str]) -> None:
        """Nothing, where all are in their range and speak of `heads`.

        Raises: BadRankerSetting: names one that is not.
        """
        for name in ("embedding", "epochs", "patience", "rate", "position_rate"):
            if not getattr(self, name) > 0:
                raise BadRankerSetting(f"{name} of the ranker is {getattr(self, name)}: it is to be above zero")
        if not self.hidden or min(self.hidden) < 1:
            raise BadRankerSetting(f"hidden of the ranker is {self.hidden}: give the units of one layer at least")
        if self.batch < 2:
            raise BadRankerSetting(f"batch of the ranker is {self.batch}: batch normalisation needs two rows")
        if not 0 <= self.dropout < 1 or self.decay < 0 or self.positions < 0:
            raise BadRankerSetting("of the ranker dropout is from 0 to below 1, decay and positions are from 0 on")
        if unknown := sorted(set(self.loss) - set(heads)):
            raise BadRankerSetting(f"loss of {', '.join(unknown)}, which are no heads: there are {', '.join(heads)}")
        if wrong := sorted(name for name, value in self.loss.items() if not 0 < value < math.inf):
            raise BadRankerSetting(f"loss of {', '.join(wrong)} is to count by a number above zero")

    def as_parameters(self) -> dict[str, float | int | str]:
        """As a spec and a run show them."""
        plain = {name: value for name, value in asdict(self).items() if isinstance(value, float | int)}
        loss = {f"loss.{name}": value for name, value in self.loss.items()}
        return {"hidden": "-".join(map(str, self.hidden)), **plain, **loss}

    def write(self, folder: Path) -> None:
        """Keep them in `folder`."""
        (folder / SETTINGS_FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> RankerSettings:
        """Those that `write` kept."""
        found = json.loads((folder / SETTINGS_FILE).read_bytes())
        return cls(**found | {"hidden": tuple(found["hidden"])})
