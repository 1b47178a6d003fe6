"""The same for everybody: what most have met. What every other retriever has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from lamina.scoring.interactions import Interactions, Texts
from lamina.scoring.retrievers.protocol import Float32s


class Popular:
    """Implements `Retriever`. `popularity`, float32[items], is every user's score."""

    form: ClassVar[str] = "popular"

    def __init__(self, items: Texts, popularity: Float32s) -> None:
        if popularity.shape != (len(items),):
            raise ValueError(f"popularity of shape {popularity.shape} for {len(items)} items")
        self._items, self._popularity = items, popularity

    @property
    def items(self) -> Texts:
        """See `Retriever.items`."""
        return self._items

    @property
    def arguments(self) -> Mapping[str, float | int | str | bool | None]:
        """See `Retriever.arguments`: none."""
        return {}

    def scores(self, asked: Interactions) -> Float32s:
        """See `Retriever.scores`."""
        return np.tile(self._popularity, (len(asked.users), 1))

    def arrays(self) -> Mapping[str, Any]:
        """See `Retriever.arrays`."""
        return {"popularity": self._popularity}

    @classmethod
    def opened(cls, items: Texts, arrays: Mapping[str, Any], arguments: Mapping[str, Any]) -> Popular:
        """See `Retriever.opened`."""
        return cls(items, arrays["popularity"])
