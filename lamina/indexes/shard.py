"""One shard: vectors in lists by what they are near to, of which a search looks into some.

Largest inner products are wanted, and a longer vector has larger ones wherever it points. Each vector therefore gets
one number more, which makes all of them as long as the longest; a user's gets a 0. Inner products stay what they were,
and what is nearest by distance is now what has the largest product (Bachrach et al. 2014), so that lists can be made by
k-means, and looked into by the distance of their middles. Every vector is kept whole, so that a score is exact, and
only what lies in lists that were not looked into can be missed.

vector      longer by       user        product     list whose middle is near to the user
3  4        0               1  0  0     3           looked into
1  0        4.9                         1           not
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import orjson
from numpy.typing import NDArray

from lamina.scoring.retrieval import Nearest, RetrievalError, holds

WHOLE = 50_000
"""A shard of fewer items is looked through whole: that is quick enough."""
LISTS_BY_ROOT = 4
"""Lists by the square root of the items: as many are compared with as vectors of a list."""
ITEMS_A_LIST = 39
"""What FAISS wants of each list at least to find its middle."""
SAMPLE_A_LIST, ROUNDS, SEED = 64, 10, 7
WIDER = 4
"""Times as many lists are looked into, again and again, where those before hold fewer items than are asked for."""
SHORTEST = 1e-20
"""A user's vector that is shorter is taken for one without a direction."""
TIED = 8
"""Of equals at the end of an answer the smaller ids are given, if they are among this many times what was asked for."""


def lists_for(items: int) -> int:
    """How many lists a shard of `items` is divided into; one is a shard that is looked through whole.

    >>> lists_for(1_000_000), lists_for(100_000), lists_for(1000), lists_for(0)
    (4096, 1024, 1, 1)
    """
    if items < WHOLE:
        return 1
    wanted = 2 ** round(math.log2(LISTS_BY_ROOT * math.sqrt(max(items, 1))))
    return int(max(1, min(wanted, items // ITEMS_A_LIST)))


class FaissShard:
    """Items in the order of their ids. Safe to search from several threads; it never changes.

    Args: ids: object[items], sorted; index: of FAISS, None without items; probes: lists that a search looks into.
    """

    def __init__(self, ids: NDArray[np.object_], index: Any, probes: int) -> None:
        self._ids, self._index, self._probes = ids, index, probes
        if index is not None:
            self._middles = faiss.downcast_index(index.quantizer)
            self._length = float(np.linalg.norm(self._middles.reconstruct_n(0, index.nlist), axis=1).max())

    @classmethod
    def build(cls, ids: NDArray[np.object_], vectors: NDArray[np.float32]) -> FaissShard:
        """A shard of vectors, float32[items, dimensions], in the order of `ids`, which are sorted; with one probe."""
        if not len(ids):
            return cls(ids, None, 1)
        longer, lists = _longer(vectors), lists_for(len(ids))
        middles = faiss.Kmeans(
            longer.shape[1],
            lists,
            niter=ROUNDS,
            seed=SEED,
            min_points_per_centroid=1,
            max_points_per_centroid=SAMPLE_A_LIST,
        )
        middles.train(longer)
        coarse = faiss.IndexFlatL2(longer.shape[1])
        coarse.add(middles.centroids)
        index = faiss.IndexIVFFlat(coarse, longer.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
        coarse.this.disown()
        index.own_fields = True
        index.is_trained = True
        index.add(longer)
        return cls(ids, index, 1)

    @property
    def lists(self) -> int:
        """Lists that it has."""
        return self._index.nlist if self._index is not None else 1

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, item: object) -> bool:
        return holds(self._ids, item)

    def probing(self, probes: int) -> FaissShard:
        """The same shard, of which a search looks into `probes` lists."""
        return FaissShard(self._ids, self._index, min(probes, self.lists))

    def search(self, vectors: NDArray[np.float32], k: int) -> Nearest:
        """The nearest `k` items that the lists looked into hold; into more, where these hold fewer."""
        k = min(k, len(self))
        if k == 0 or not len(vectors):
            return Nearest(np.empty((len(vectors), k), object), np.empty((len(vectors), k), np.float32))
        # One more than is asked for: whether it equals the last shows.
        scores, places = self._nearest(vectors, min(k + 1, len(self)), self._probes)
        tied = (scores[:, k - 1] == scores[:, -1]) & (places[:, k - 1] >= 0) & (k < len(self))
        if tied.any():
            found = self._nearest(vectors[tied], min(TIED * (k + 1), len(self)), self._probes)
            scores[tied, :k], places[tied, :k] = found[0][:, :k], found[1][:, :k]
        probes = self._probes
        while (short := places[:, k - 1] < 0).any():
            probes = min(WIDER * probes, self.lists)
            found = self._nearest(vectors[short], k, probes)
            scores[short, :k], places[short, :k] = found
        return Nearest(self._ids[places[:, :k]], scores[:, :k])

    def looked_into(self, vectors: NDArray[np.float32], k: int) -> Nearest:
        """What a search finds that looks into no more lists; ids are "" after those that these hold."""
        scores, places = self._nearest(vectors, min(k, len(self)), self._probes)
        return Nearest(np.where(places < 0, "", self._ids[places]), scores)

    def _nearest(
        self, vectors: NDArray[np.float32], k: int, probes: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and places, best first, of equal scores the first place; -1, for none, last."""
        asked = np.zeros((len(vectors), vectors.shape[1] + 1), np.float32)
        asked[:, :-1] = vectors
        # What is near does not depend on a user's length: all are made as long as the items.
        lengths = np.linalg.norm(asked, axis=1, keepdims=True)
        distances, lists = self._middles.search(asked * (self._length / np.maximum(lengths, SHORTEST)), probes)
        scores, places = np.empty((len(asked), k), np.float32), np.empty((len(asked), k), np.int64)
        pointers = (faiss.swig_ptr(each) for each in (lists, distances, scores, places))
        own = faiss.SearchParametersIVF(nprobe=probes)
        self._index.search_preassigned_c(len(asked), faiss.swig_ptr(asked), k, *pointers, False, own)
        order = np.lexsort((places, -scores), axis=1)
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(places, order, axis=1)

    def save(self, folder: Path, number: int) -> tuple[str, ...]:
        """Write it to `folder` as its shard of this number; the names of its files."""
        names: tuple[str, ...] = _names(number) if len(self) else ()
        if len(self):
            (folder / names[0]).write_bytes(orjson.dumps(self._ids.tolist()))
            faiss.write_index(self._index, str(folder / names[1]))
        return names

    @classmethod
    def open(cls, folder: Path, number: int, items: int, probes: int) -> FaissShard:
        """The shard of this number in `folder`, which has `items`.

        Raises: RetrievalError: it cannot be read, or has not as many.
        """
        if items == 0:
            return cls(np.empty(0, object), None, 1)
        ids_file, vectors_file = (folder / name for name in _names(number))
        try:
            ids = np.array(orjson.loads(ids_file.read_bytes()), dtype=object)
            index = faiss.read_index(str(vectors_file))
        except (OSError, ValueError, RuntimeError) as error:
            raise RetrievalError(f"{folder} holds no index that can be read ({error}): build it again") from error
        if not len(ids) == index.ntotal == items:
            raise RetrievalError(f"shard {number} in {folder} has not the {items} items it should: build it again")
        return cls(ids, index, probes)


def _names(number: int) -> tuple[str, str]:
    return f"shard-{number:03d}.ids.json", f"shard-{number:03d}.faiss"


def _longer(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[n, dimensions + 1]: each with a number more, so that all are as long as the longest.

    >>> _longer(np.array([[3, 4], [3, 0]], np.float32)).tolist()
    [[3.0, 4.0, 0.0], [3.0, 0.0, 4.0]]
    """
    squares = np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)
    return np.column_stack([vectors, np.sqrt(squares.max() - squares)]).astype(np.float32)
