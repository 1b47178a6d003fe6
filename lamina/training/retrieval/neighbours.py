"""Items by what was met together: item-kNN, and SAR. Both are co-occurrence, scaled, and read by a user's history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers.item_item import ItemItem

DAY_S = 86_400.0


def together(seen: Interactions) -> Any:
    """csr_array[items, items]: how many users met both; on the diagonal, how many met the item."""
    pairs = seen.seen()
    return (pairs.T @ pairs).tocsr()


def rescaled(counts: Any, other: Any) -> Any:
    """Each count divided by what `other` makes of those of its row's item, its column's item, and itself."""
    single = counts.diagonal()
    found = counts.tocoo()
    found.data = found.data / other(single[found.row], single[found.col], found.data)
    return found.tocsr()


@dataclass(frozen=True)
class ItemKnn:
    """Implements `Method`: a user's score of an item is the sum of its cosines with what he met, of those among its
    `neighbours` nearest. `shrink` counts against cosines that few users speak for.
    """

    name: ClassVar[str] = "item_knn"

    neighbours: int = 100
    shrink: float = 0.0

    def fit(self, seen: Interactions) -> ItemItem:
        """See `Method.fit`."""
        cosine = rescaled(together(seen), lambda a, b, _: np.sqrt(a * b) + self.shrink)
        cosine.setdiag(0.0)
        cosine.eliminate_zeros()
        return ItemItem(seen.items, _strongest(cosine, self.neighbours).T.tocsr().astype(np.float32))


@dataclass(frozen=True)
class Sar:
    """Implements `Method`: Smart Adaptive Recommendations, as the recommenders library has it. Items are alike by the
    Jaccard index of who met them; a history counts by its weights, which halve in `half_life_days` (0: they do not).
    """

    name: ClassVar[str] = "sar"

    half_life_days: float = 30.0

    def fit(self, seen: Interactions) -> ItemItem:
        """See `Method.fit`."""
        if self.half_life_days and seen.time_s is None:
            seen.fading(self.half_life_days)  # refuses: here and not when somebody is served
        jaccard = rescaled(together(seen), lambda a, b, both: a + b - both).astype(np.float32)
        half_life_s = self.half_life_days * DAY_S if self.half_life_days else None
        return ItemItem(seen.items, jaccard, weighted=True, half_life_s=half_life_s)


def _strongest(similarity: Any, most: int) -> Any:
    """csr_array with the `most` largest of each row; of equal ones the first column."""
    found = similarity.tocoo()
    order = np.lexsort((found.col, -found.data, found.row))
    counts = np.bincount(found.row, minlength=similarity.shape[0])
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = order[place < most]
    from scipy.sparse import csr_array

    return csr_array((found.data[kept], (found.row[kept], found.col[kept])), shape=similarity.shape)
