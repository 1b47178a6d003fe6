"""What `tests.torch_networks` left in a folder: exported networks, and what torch said of them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

NAMES = ("session_page_views", "item_events_1h", "item_users_1h")
SEEDS = (1, 2)
ROWS = list(itertools.product(range(7), range(7), range(2)))
"""Values of the inputs, in the order of `NAMES`."""

SEVERAL = "several"
HEADS = ("bought", "returned")
"""Outputs of the network in the folder `SEVERAL`."""

ANSWERS = "answers.json"


@dataclass(frozen=True)
class Networks:
    """`scores` of every row by seed; `heads`: what the network of several outputs gives, one list an output; `refused`:
    what was said of networks that do not fit, by what is wrong.
    """

    folder: Path
    scores: Mapping[str, Sequence[float]]
    heads: Sequence[Sequence[float]]
    refused: Mapping[str, str]

    @classmethod
    def read(cls, folder: Path) -> Networks:
        """What lies in `folder`."""
        return cls(folder, **json.loads((folder / ANSWERS).read_text()))

    def score(self, seed: int, features: Mapping[str, object]) -> float:
        """What torch says of the row."""
        return self.scores[str(seed)][ROWS.index(tuple(features[name] for name in NAMES))]  # type: ignore[arg-type]
