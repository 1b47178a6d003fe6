"""What `tests.torch_rankers` trains and leaves in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ANSWERS = "answers.json"
AWARE, BLIND = "aware", "blind"
"""Told of positions, and not."""

PROBES: Mapping[str, tuple[float, ...]] = {
    "usual": (20.0, 40.0, 6.0, 0.0, 1.0),
    "huge": (1e30, 40.0, 6.0, 0.0, 1.0),
    "larger": (1e33, 40.0, 6.0, 0.0, 1.0),
    "missing": (20.0, np.nan, 6.0, 0.0, 1.0),
    "unseen": (20.0, 40.0, 6.0, 3.0, 1.0),
    "beyond": (20.0, 40.0, 6.0, 9.0, 1.0),
    "nowhere": (20.0, 40.0, 6.0, 0.0, 0.0),
    "last": (20.0, 40.0, 6.0, 0.0, 10.0),
    "below": (20.0, 40.0, 6.0, 0.0, 400.0),
}
"""Encoded rows, the position last."""
KINDS = {"numbers": ("huge", "larger", "usual", "missing"), "texts": ("unseen", "beyond", "usual")} | {
    "at": ("usual", "nowhere", "last", "below")
}


@dataclass(frozen=True)
class Rankers:
    """Networks by name in the folder, and what torch said besides."""

    folder: Path
    answers: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Rankers:
        """What lies in `folder`."""
        return cls(folder, json.loads((folder / ANSWERS).read_text()))

    def network(self, name: str) -> Path:
        """Where the network of this name lies."""
        return self.folder / f"{name}-network"
