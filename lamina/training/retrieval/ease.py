"""EASE: a linear model of items by items, solved at once (Steck 2019, "Embarrassingly shallow autoencoders for sparse
data").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers.item_item import ItemItem
from lamina.training.retrieval.protocol import TooMuch

MOST_ITEMS = 50_000
"""Its matrix is items by items: at this many, 20 GB for it, 20 for its inverse, and 10 to keep."""


@dataclass(frozen=True)
class Ease:
    """Implements `Method`. With P the inverse of X'X + regularisation, weights are -P[i, j] / P[j, j], and 0 on the
    diagonal: what a user met is told from everything else that he met.
    """

    name: ClassVar[str] = "ease"

    regularisation: float = 500.0

    def fit(self, seen: Interactions) -> ItemItem:
        """See `Method.fit`.

        Raises: TooMuch: there are more than 50,000 items.
        """
        if len(seen.items) > MOST_ITEMS:
            raise TooMuch(
                f"EASE needs a matrix of {len(seen.items):,} items squared, and {MOST_ITEMS:,} items are the most that "
                "it is fitted for: leave rare items out, or take item_knn, ials or the towers"
            )
        pairs = seen.seen()
        gram = (pairs.T @ pairs).toarray()
        gram.flat[:: len(gram) + 1] += self.regularisation
        inverse = np.linalg.inv(gram)
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0.0)
        return ItemItem(seen.items, weights.astype(np.float32))
