"""What two columns are compared by: where the values lie, how many are missing, and how far off that may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Numbers:
    """A column of numbers: `weights[i]` of its values are `values[i]`, which ascend; both float64[n].

    missing: rows without a number. error: how far the share of the values at or below any number may be off, 0 to 1.
    """

    values: Floats
    weights: Floats
    missing: int
    error: float

    @property
    def count(self) -> int:
        """How many values there are, without the missing ones."""
        return round(float(self.weights.sum()))

    @property
    def missing_share(self) -> float:
        """The share of rows without a value, 0 of no rows."""
        return self.missing / max(self.count + self.missing, 1)

    def share_at_most(self, at: Floats) -> Floats:
        """The share of the values that are at most each of `at`, float64[m]; of no values NaN."""
        below = np.concatenate(([0.0], np.cumsum(self.weights)))
        shares: Floats = below[np.searchsorted(self.values, at, side="right")] / (below[-1] or np.nan)
        return shares

    def quantiles(self, ranks: Floats) -> Floats:
        """The smallest values that the shares `ranks` of all are at most, float64[m]."""
        reached = np.cumsum(self.weights) / self.weights.sum()
        places = np.searchsorted(reached, ranks - 1e-12)
        return self.values[np.minimum(places, len(self.values) - 1)]


@dataclass(frozen=True)
class Texts:
    """A column of texts: how many rows hold each. `others` are rows of texts too rare to be told apart.

    missing: rows without a text. error: how far the share of any text may be off, 0 to 1.
    """

    counts: Mapping[str, int]
    others: int
    missing: int
    error: float

    @property
    def count(self) -> int:
        """How many rows hold a text."""
        return sum(self.counts.values()) + self.others

    @property
    def missing_share(self) -> float:
        """The share of rows without a text, 0 of no rows."""
        return self.missing / max(self.count + self.missing, 1)


Distribution = Numbers | Texts


def pooled_numbers(parts: Sequence[Numbers]) -> Numbers:
    """The values of all parts together. The error is at most that of the worst: shares are averaged, and so are errors.

    >>> one, two = (Numbers(np.array([v]), np.array([1.0]), missing=1, error=0.0) for v in (2.0, 1.0))
    >>> both = pooled_numbers([one, two])
    >>> both.values.tolist(), both.missing
    ([1.0, 2.0], 2)
    """
    values = np.concatenate([part.values for part in parts]) if parts else np.empty(0)
    weights = np.concatenate([part.weights for part in parts]) if parts else np.empty(0)
    distinct, place = np.unique(values, return_inverse=True)
    return Numbers(
        distinct,
        np.bincount(place, weights, len(distinct)).astype(np.float64),
        sum(part.missing for part in parts),
        _mean_error(parts),
    )


def pooled_texts(parts: Sequence[Texts]) -> Texts:
    """The rows of all parts together."""
    counts: dict[str, int] = {}
    for part in parts:
        for text, count in part.counts.items():
            counts[text] = counts.get(text, 0) + count
    return Texts(counts, sum(part.others for part in parts), sum(part.missing for part in parts), _mean_error(parts))


def _mean_error(parts: Sequence[Distribution]) -> float:
    total = sum(part.count for part in parts)
    return sum(part.error * part.count for part in parts) / total if total else 0.0
