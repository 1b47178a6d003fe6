"""iALS: factors of users and items by alternating least squares over all pairs, met or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers.factors import Factors, LeastSquares
from lamina.training.retrieval.protocol import BadSetting

SPREAD = 0.1
"""Standard deviation of a factor vector's length at the start, as in Rendle's code."""


@dataclass(frozen=True)
class Ials:
    """Implements `Method`, after Rendle et al. 2021 (`LeastSquares` says what is minimised).

    factors: numbers in a vector. unobserved: weight of a pair that was not met, where one that was has 1 more. epochs:
    each solves for the users, then for the items. seed: of the factors at the start.
    """

    name: ClassVar[str] = "ials"

    factors: int = 64
    regularisation: float = 0.01
    unobserved: float = 0.3
    epochs: int = 15
    seed: int = 0

    def fit(self, seen: Interactions) -> Factors:
        """See `Method.fit`.

        Raises: BadSetting: a number is out of its range.
        """
        if not (self.factors > 0 and self.epochs > 0 and self.regularisation > 0 and self.unobserved >= 0):
            raise BadSetting(f"{self}: factors, epochs and regularisation are to be above zero, unobserved not below")
        met = seen.seen()
        by_item = met.T.tocsr()
        own = {"unobserved": self.unobserved, "regularisation": self.regularisation}
        items = np.random.default_rng(self.seed).normal(
            scale=SPREAD / np.sqrt(self.factors), size=(len(seen.items), self.factors)
        )
        for _ in range(self.epochs):
            users = LeastSquares(items, **own).solve(met)
            items = LeastSquares(users, **own).solve(by_item)
        return Factors(seen.items, items.astype(np.float32), **own)
