"""Finding what lies nearest: candidates for a model to score, by the vectors that another model made of them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lamina.errors import LaminaError


class RetrievalError(LaminaError):
    """An index that cannot be built, opened, or asked what it was asked."""


class Nearest(NamedTuple):
    """What a search found, the best first; of equal scores the smaller id.

    Args: ids: object[n, m], texts; scores: float32[n, m], inner products. m is the number asked for, or that of all
    items where there are fewer.
    """

    ids: NDArray[np.object_]
    scores: NDArray[np.float32]


class Index(Protocol):
    """Items by their vectors. Safe to search from several threads; what is in it never changes."""

    @property
    def model_version(self) -> str:
        """Version of the model that made its vectors. Those of another version mean something else."""

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""

    def __len__(self) -> int:
        """Items in it."""

    def search(self, vectors: NDArray[np.float32], k: int, *, model_version: str) -> Nearest:
        """The `k` items whose vectors have the largest inner product with each of `vectors`.

        Args: vectors: float32[n, dimensions]; model_version: of the model that made them.
        Raises: RetrievalError: they are of another version or shape, are not finite, or `k` is below one.
        """


def checked(vectors: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """`vectors` as float32[n, dimensions], in memory row by row.

    Raises: RetrievalError: they are of another shape, or not finite.
    """
    found = np.ascontiguousarray(vectors, dtype=np.float32)
    if found.ndim != 2 or found.shape[1] != dimensions:
        raise RetrievalError(
            f"vectors of shape {np.shape(vectors)} where [n, {dimensions}] is needed: one row a vector"
        )
    if not np.isfinite(found).all():
        raise RetrievalError("a vector holds a number that is not finite: look at the model that made it")
    return found
