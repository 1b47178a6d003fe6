"""Items that speak for items: a user's score is the sum over what he has met. Item-kNN, SAR and EASE are all this.

history [1, items]     weights [items, items]     scores [1, items]
a  b  c                a   b   c
1  1  .       x    a   0  .5  .2           =       .1  .5  .9
                   b  .1   0  .7
                   c   0  .3   0
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from lamina.scoring.interactions import Interactions, Texts
from lamina.scoring.retrievers.protocol import Float32s


class ItemItem:
    """Implements `Retriever`.

    Args: weights: float32[items, items] or as many in a csr_array, row by what was met, column by what is scored;
    weighted: whether an interaction counts by its weight or each pair once; half_life_s: in which a weight halves.
    """

    form: ClassVar[str] = "item_item"

    def __init__(self, items: Texts, weights: Any, *, weighted: bool = False, half_life_s: float | None = None) -> None:
        if weights.shape != (len(items), len(items)):
            raise ValueError(f"weights of shape {weights.shape} for {len(items)} items")
        self._items, self._weights, self._weighted, self._half_life_s = items, weights, weighted, half_life_s

    @property
    def items(self) -> Texts:
        """See `Retriever.items`."""
        return self._items

    @property
    def arguments(self) -> Mapping[str, float | int | str | bool | None]:
        """See `Retriever.arguments`."""
        return {"weighted": self._weighted, "half_life_s": self._half_life_s}

    def scores(self, asked: Interactions) -> Float32s:
        """See `Retriever.scores`; all 0 for a user who has met nothing that it knows.

        Raises: InteractionsError: weights fade with age, and no times are known.
        """
        met = asked.onto(self._items)
        if self._half_life_s is not None:
            history = met.matrix(met.fading(self._half_life_s))
        else:
            history = met.matrix() if self._weighted else met.seen()
        found = history.astype(np.float32) @ self._weights
        return np.asarray(found.toarray() if hasattr(found, "toarray") else found, np.float32)

    def arrays(self) -> Mapping[str, Any]:
        """See `Retriever.arrays`."""
        return {"weights": self._weights}

    @classmethod
    def opened(cls, items: Texts, arrays: Mapping[str, Any], arguments: Mapping[str, Any]) -> ItemItem:
        """See `Retriever.opened`."""
        return cls(items, arrays["weights"], **arguments)
