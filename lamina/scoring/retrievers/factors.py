"""Factors of items; a user's are solved for from what he has met, when he is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lamina.scoring.interactions import Interactions, Texts
from lamina.scoring.retrievers.protocol import Float32s


class LeastSquares:
    """Factors of rows from those of the columns, by implicit alternating least squares.

    A row that met the columns S, out of n, gets the w that minimises, with v the factors of a column,

        (1 + unobserved) * sum over S of (w.v - 1)^2  +  unobserved * sum over all others of (w.v)^2
          +  regularisation * (|S| + unobserved * n) * w.w

    (Hu, Koren and Volinsky 2008; regularisation by count as in Rendle et al. 2021, "Revisiting the performance of iALS
    on item recommendation benchmarks", exponent 1). The factors are turned so that the sum over all columns is a
    diagonal D; a row of few columns V is then solved by as many equations (Woodbury), one of many by f:

        w ~ D^-1 V' (1 + V D^-1 V')^-1 1   =   (V'V + D)^-1 V' 1

    Args: factors: float64[n, f]; regularisation: above zero; unobserved: zero or more.
    """

    def __init__(self, factors: NDArray[np.float64], *, unobserved: float, regularisation: float) -> None:
        if not (regularisation > 0 and unobserved >= 0):
            raise ValueError(f"regularisation {regularisation} is to be above zero, unobserved {unobserved} not below")
        spectrum, self._turn = np.linalg.eigh(factors.T @ factors)
        self._turned = factors @ self._turn
        self._all = unobserved * spectrum.clip(0.0)
        self._unobserved, self._regularisation = unobserved, regularisation

    def solve(self, met: Any) -> NDArray[np.float64]:
        """float64[rows, f] of csr_array[rows, n]. A row that met nothing has factors of 0."""
        columns, size = self._turned.shape
        found = np.zeros((met.shape[0], size))
        for row in range(met.shape[0]):
            own = self._turned[met.indices[met.indptr[row] : met.indptr[row + 1]]]
            if not len(own):
                continue
            diagonal = self._all + self._regularisation * (len(own) + self._unobserved * columns)
            if len(own) < size:
                scaled = own / diagonal
                system = scaled @ own.T
                system.flat[:: len(own) + 1] += 1.0
                found[row] = np.linalg.solve(system, np.ones(len(own))) @ scaled
            else:
                system = own.T @ own
                system.flat[:: size + 1] += diagonal
                found[row] = np.linalg.solve(system, own.sum(axis=0))
        turned_back: NDArray[np.float64] = (1.0 + self._unobserved) * (found @ self._turn.T)
        return turned_back


class Factors:
    """Implements `VectorRetriever`: factors of items, float32[items, f], and how a user's follow from them."""

    form: ClassVar[str] = "factors"

    def __init__(self, items: Texts, factors: Float32s, *, unobserved: float, regularisation: float) -> None:
        if factors.ndim != 2 or len(factors) != len(items):
            raise ValueError(f"factors of shape {factors.shape} for {len(items)} items")
        self._items, self._factors = items, factors
        self._arguments = {"unobserved": unobserved, "regularisation": regularisation}
        self._squares = LeastSquares(factors.astype(np.float64), **self._arguments)

    @property
    def items(self) -> Texts:
        """See `Retriever.items`."""
        return self._items

    @property
    def arguments(self) -> Mapping[str, float | int | str | bool | None]:
        """See `Retriever.arguments`."""
        return {**self._arguments}

    def scores(self, asked: Interactions) -> Float32s:
        """See `Retriever.scores`."""
        found: Float32s = self.user_vectors(asked) @ self._factors.T
        return found

    def item_vectors(self) -> Float32s:
        """See `VectorRetriever.item_vectors`."""
        return self._factors

    def user_vectors(self, asked: Interactions) -> Float32s:
        """See `VectorRetriever.user_vectors`; all 0 for a user who has met nothing that it knows."""
        return self._squares.solve(asked.onto(self._items).seen()).astype(np.float32)

    def arrays(self) -> Mapping[str, Any]:
        """See `Retriever.arrays`."""
        return {"factors": self._factors}

    @classmethod
    def opened(cls, items: Texts, arrays: Mapping[str, Any], arguments: Mapping[str, Any]) -> Factors:
        """See `Retriever.opened`."""
        return cls(items, arrays["factors"], **arguments)
