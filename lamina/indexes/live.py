"""An index and what changed since it was built: items that came are found at once, items that went no more.

What came lies in a small exact index beside the main one, and both are searched. What went, or came anew with another
vector, is passed over in what the main one finds, which is asked for that much more.

main     a 9   b 8   c 7   d 6        asked for 3
gone     b, and c, which came anew    main is asked for 3 + 2:  a d
beside   c 5   e 8                    answer: a 9   e 8   d 6
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lamina.indexes.changes import Change
from lamina.scoring.exact_index import ExactIndex
from lamina.scoring.retrieval import Index, Nearest, RetrievalError, merged, question


@dataclass(frozen=True)
class _State:
    """What is laid over the main index. `hidden`: of its items, which count no more."""

    beside: ExactIndex
    vectors: dict[str, NDArray[np.float32]]
    hidden: frozenset[str]


class LiveIndex:
    """Implements `Index` over another, whose items it adds to and takes from. A search sees a change whole or not."""

    def __init__(self, main: Index) -> None:
        self.main = main
        self._lock = threading.Lock()
        self._state = _State(self._beside({}), {}, frozenset())

    @property
    def model_version(self) -> str:
        """See `Index.model_version`."""
        return self.main.model_version

    @property
    def dimensions(self) -> int:
        """See `Index.dimensions`."""
        return self.main.dimensions

    @property
    def beside(self) -> int:
        """Items that came since the main index was built: as these are many, a search takes longer."""
        return len(self._state.beside)

    @property
    def hidden(self) -> int:
        """Items of the main index that count no more."""
        return len(self._state.hidden)

    def __len__(self) -> int:
        """See `Index.__len__`."""
        state = self._state
        return len(self.main) - len(state.hidden) + len(state.beside)

    def __contains__(self, item: object) -> bool:
        """See `Index.__contains__`."""
        state = self._state
        return item in state.beside or (item not in state.hidden and item in self.main)

    def apply(self, *changes: Change) -> bool:
        """Take changes over, in order; whether all of them were.

        Vectors of another model's version mean something else, and are passed over: the next build has those items.
        What went is gone whatever the version.

        Raises: RetrievalError: vectors of another shape. Nothing was taken over.
        """
        all_fit = True
        with self._lock:
            vectors, hidden = dict(self._state.vectors), set(self._state.hidden)
            for change in changes:
                fits = not len(change.ids) or change.model_version == self.model_version
                all_fit &= fits
                for id_ in change.removed:
                    vectors.pop(id_, None)
                came = dict(zip(change.ids, change.vectors, strict=True)) if fits else {}
                if wrong := [id_ for id_, vector in came.items() if vector.shape != (self.dimensions,)]:
                    raise RetrievalError(
                        f"the vector of {wrong[0]!r} has not the {self.dimensions} numbers of the index's"
                    )
                hidden.update(id_ for id_ in (*came, *change.removed) if id_ in self.main)
                vectors |= came
            self._state = _State(self._beside(vectors), vectors, frozenset(hidden))
        return all_fit

    def search(self, vectors: NDArray[np.float32], k: int, *, model_version: str) -> Nearest:
        """See `Index.search`."""
        asked, state = question(self, vectors, k, model_version=model_version), self._state
        found = self._visible(asked, k, state.hidden)
        if not len(state.beside):
            return found
        return merged([found, state.beside.search(asked, k, model_version=model_version)], k)

    def _visible(self, asked: NDArray[np.float32], k: int, hidden: frozenset[str]) -> Nearest:
        """The best `k` of the main index that are not `hidden`."""
        version = self.model_version
        if not hidden:
            return self.main.search(asked, k, model_version=version)
        # Of many that are hidden few are among the best: as many more as were asked for, then twice as many, are ample.
        wanted = k + min(k, len(hidden))
        while True:
            found = self.main.search(asked, wanted, model_version=version)
            seen = np.array([[id_ not in hidden for id_ in row] for row in found.ids], bool).reshape(found.ids.shape)
            enough = int(seen.sum(axis=1).min(initial=wanted))
            if enough >= k or found.ids.shape[1] < wanted or wanted >= k + len(hidden):
                break
            wanted = min(2 * wanted, k + len(hidden))
        # A stable sort puts what is seen in front, in its order.
        places = np.argsort(~seen, axis=1, kind="stable")[:, : min(k, enough)]
        ids, scores = np.take_along_axis(found.ids, places, axis=1), np.take_along_axis(found.scores, places, axis=1)
        return Nearest(ids, scores, found.missing)

    def _beside(self, vectors: dict[str, NDArray[np.float32]]) -> ExactIndex:
        rows = np.stack(list(vectors.values())) if vectors else np.empty((0, self.dimensions), np.float32)
        return ExactIndex(list(vectors), rows, model_version=self.model_version)
