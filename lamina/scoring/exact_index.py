"""The exact index: every vector is compared. What an approximate one is measured by, and enough for a small catalogue.

vectors [2, 3]        items [4, 3]            scores [2, 4]        k = 2
u1  1 0 0             a  1 0 0                1.0 0.0 0.5 0.9      a d
u2  0 1 0             b  0 1 0      --->      0.0 1.0 0.5 0.1      b c
c  .5 .5 0
d  .9 .1 0
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lamina.scoring.retrieval import Nearest, RetrievalError, by_id, holds, question

VECTORS_FILE = "vectors.npy"
ITEMS_FILE = "items.json"
TOGETHER = 256
"""Vectors that are searched for at a time: their scores with a million items are a gigabyte."""


class ExactIndex:
    """Implements `Index` over arrays in memory.

    Args: ids: of the items, each once; vectors: float32[items, dimensions], in the same order; model_version: of the
    model that made them.

    Raises: RetrievalError: an id is there twice, or there are more or fewer ids than vectors.

    >>> index = ExactIndex(["a", "b"], np.eye(2, dtype=np.float32), model_version="3")
    >>> index.search(np.array([[0.0, 2.0]], np.float32), 1, model_version="3").ids.tolist()
    [['b']]
    """

    def __init__(self, ids: Sequence[str], vectors: NDArray[np.float32], *, model_version: str) -> None:
        self._ids, self._vectors = by_id(ids, vectors)
        self._model_version = model_version

    @property
    def model_version(self) -> str:
        """See `Index.model_version`."""
        return self._model_version

    @property
    def dimensions(self) -> int:
        """See `Index.dimensions`."""
        return int(self._vectors.shape[1])

    def __len__(self) -> int:
        """See `Index.__len__`."""
        return len(self._ids)

    def __contains__(self, item: object) -> bool:
        """See `Index.__contains__`."""
        return holds(self._ids, item)

    def search(self, vectors: NDArray[np.float32], k: int, *, model_version: str) -> Nearest:
        """See `Index.search`."""
        asked, k = question(self, vectors, k, model_version=model_version), min(k, len(self))
        places = np.empty((len(asked), k), dtype=np.int64)
        scores = np.empty((len(asked), k), dtype=np.float32)
        for begin in range(0, len(asked), TOGETHER):
            rows = slice(begin, begin + TOGETHER)
            places[rows], scores[rows] = best(asked[rows] @ self._vectors.T, k)
        return Nearest(self._ids[places], scores)

    def save(self, folder: Path) -> None:
        """Write it to `folder`, beside the model whose vectors it holds."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / VECTORS_FILE, self._vectors)
        items = {"model_version": self._model_version, "ids": self._ids.tolist()}
        (folder / ITEMS_FILE).write_text(json.dumps(items), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> ExactIndex:
        """The index that was saved to `folder`.

        Raises: RetrievalError: there is none, or it cannot be read.
        """
        try:
            items = json.loads((folder / ITEMS_FILE).read_bytes())
            vectors = np.load(folder / VECTORS_FILE, allow_pickle=False)
            return cls(items["ids"], vectors, model_version=items["model_version"])
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise RetrievalError(f"{folder} holds no index that can be read ({error}): build it again") from error


def best(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Places and scores of the `k` largest of each row, int64[n, k] and float32[n, k]; of equal ones the first."""
    if k == 0:
        return np.empty((len(scores), 0), np.int64), np.empty((len(scores), 0), np.float32)
    # All that reach the k-th largest score, of which more than k may be equal; only those are sorted.
    least = np.partition(scores, -k, axis=1)[:, -k]
    places = np.empty((len(scores), k), np.int64)
    for row, bound in enumerate(least):
        reach = np.flatnonzero(scores[row] >= bound)
        places[row] = reach[np.argsort(-scores[row, reach], kind="stable")[:k]]
    return places, np.take_along_axis(scores, places, axis=1)
