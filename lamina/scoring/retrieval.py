"""Finding what lies nearest: candidates for a model to score, by the vectors that another model made of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lamina.errors import LaminaError


class RetrievalError(LaminaError):
    """An index that cannot be built, opened, or asked what it was asked."""


class Nearest(NamedTuple):
    """What a search found, the best first; of equal scores the smaller id.

    Args: ids: object[n, m], texts; scores: float32[n, m], inner products. m is the number asked for, or that of all
    items where there are fewer. missing: numbers of the shards that did not answer in time, in order: what they hold
    was not looked at.
    """

    ids: NDArray[np.object_]
    scores: NDArray[np.float32]
    missing: tuple[int, ...] = ()


class Index(Protocol):
    """Items by their vectors. Safe to search from several threads."""

    @property
    def model_version(self) -> str:
        """Version of the model that made its vectors. Those of another version mean something else."""

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""

    def __len__(self) -> int:
        """Items in it."""

    def __contains__(self, item: object) -> bool:
        """Whether there is an item of this id in it."""

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


def question(index: Index, vectors: NDArray[np.float32], k: int, *, model_version: str) -> NDArray[np.float32]:
    """`vectors`, when `index` can be asked for `k` items by them: what every `search` begins with.

    Raises: RetrievalError: as `Index.search` says.
    """
    if model_version != index.model_version:
        raise RetrievalError(
            f"vectors of version {model_version} are asked for in an index of version {index.model_version}: build the "
            "index of the model in service, or ask with that index's model"
        )
    if k < 1:
        raise RetrievalError(f"{k} items are asked for: ask for one at least")
    return checked(vectors, index.dimensions)


def by_id(ids: Sequence[str], vectors: NDArray[np.float32]) -> tuple[NDArray[np.object_], NDArray[np.float32]]:
    """Items in the order of their ids, so that the first of equal scores is the smaller id.

    Raises: RetrievalError: an id is there twice, there are more or fewer ids than vectors, or one is not finite.
    """
    if np.ndim(vectors) != 2 or len(vectors) != len(ids):
        raise RetrievalError(f"{len(ids)} ids and vectors of shape {np.shape(vectors)}: one row an id is needed")
    if len(set(ids)) != len(ids):
        raise RetrievalError("an id is there twice: which of its vectors holds, nobody knows")
    order = sorted(range(len(ids)), key=ids.__getitem__)
    return np.array([ids[place] for place in order], dtype=object), checked(vectors, np.shape(vectors)[1])[order]


def holds(ids: NDArray[np.object_], item: object) -> bool:
    """Whether `item` is one of `ids`, which are sorted."""
    place = bisect_left(ids, item) if isinstance(item, str) else len(ids)
    return place < len(ids) and bool(ids[place] == item)


def merged(parts: Sequence[Nearest], k: int) -> Nearest:
    """The best `k` of what the parts of an index found, no item being in two of them.

    >>> one = Nearest(np.array([["a", "c"]], object), np.array([[3, 1]], np.float32))
    >>> two = Nearest(np.array([["b"]], object), np.array([[2]], np.float32), missing=(1,))
    >>> merged([one, two], 2).ids.tolist(), merged([one, two], 2).missing
    ([['a', 'b']], (1,))
    """
    missing = tuple(sorted({shard for part in parts for shard in part.missing}))
    if len(parts) == 1:
        return Nearest(parts[0].ids[:, :k], parts[0].scores[:, :k], missing)
    ids = np.concatenate([part.ids for part in parts], axis=1)
    scores = np.concatenate([part.scores for part in parts], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")
    ids, scores = np.take_along_axis(ids, order, axis=1), np.take_along_axis(scores, order, axis=1)
    for row in np.flatnonzero((scores[:, 1:] == scores[:, :-1]).any(axis=1)):
        keys = list(zip(-scores[row], ids[row], strict=True))
        ids[row] = ids[row][sorted(range(len(keys)), key=keys.__getitem__)]
    return Nearest(ids[:, :k], scores[:, :k], missing)
