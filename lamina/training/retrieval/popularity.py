"""Popularity: items by how many users met them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers.popular import Popular


@dataclass(frozen=True)
class Popularity:
    """Implements `Method`. A user counts once for an item, however often he came back."""

    name: ClassVar[str] = "popularity"

    def fit(self, seen: Interactions) -> Popular:
        """See `Method.fit`."""
        return Popular(seen.items, np.asarray(seen.seen().sum(axis=0)).astype(np.float32))
