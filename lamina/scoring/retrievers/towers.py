"""Two towers: a vector of a user from his id, his history and his words, one of an item from its id and its words.

user:  ids[u]  + sum of history[i] / sqrt(n)  + mean of words[w]   -> head (ONNX) -> user vector \
                                                                                                  inner product
item:  ids[i]                                 + mean of words[w]   -> head (ONNX) -> item vector /

Row 0 of a table of ids is zeros, for those that were not there in training: they are told by the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from lamina.scoring.compiled import Compiled
from lamina.scoring.interactions import Interactions, Places, Texts
from lamina.scoring.retrievers.history import last_met
from lamina.scoring.retrievers.protocol import Float32s
from lamina.scoring.retrievers.tokens import NONE, Tokens


@dataclass(frozen=True)
class Towers:
    """Implements `VectorRetriever`.

    Args: items: that it knows; users: ids that it knows, as numpy's own texts, sorted; tables: those of `TABLES`,
    float32[rows, width]; heads: `user_head` and `item_head`, compiled networks from float32[n, width]; vectors:
    float32[items, dimensions]; longest: items of a history that are read; user_words: of the users who are asked for.
    """

    form: ClassVar[str] = "towers"

    items: Texts
    users: Any
    tables: Mapping[str, Float32s]
    heads: Mapping[str, bytes]
    vectors: Float32s
    longest: int
    user_words: Tokens = NONE

    def __post_init__(self) -> None:
        counts = {"user_ids": len(self.users) + 1, "item_ids": len(self.items) + 1, "history": len(self.items) + 1}
        for name, rows in counts.items():
            if len(self.tables[name]) != rows:
                raise ValueError(f"table {name} has {len(self.tables[name])} rows and needs {rows}")
        if len(self.vectors) != len(self.items):
            raise ValueError(f"{len(self.vectors)} vectors of {len(self.items)} items")

    @cached_property
    def _heads(self) -> dict[str, Compiled]:
        return {name: Compiled(model) for name, model in self.heads.items()}

    @property
    def arguments(self) -> Mapping[str, float | int | str | bool | None]:
        """See `Retriever.arguments`."""
        return {"longest": self.longest}

    def knowing(self, user_words: Tokens) -> Towers:
        """The same with words of the users who are to be asked for."""
        return replace(self, user_words=user_words)

    def scores(self, asked: Interactions) -> Float32s:
        """See `Retriever.scores`."""
        found: Float32s = self.user_vectors(asked) @ self.vectors.T
        return found

    def item_vectors(self) -> Float32s:
        """See `VectorRetriever.item_vectors`."""
        return self.vectors

    def vectors_of(self, ids: Sequence[str], words: Tokens) -> Float32s:
        """float32[n, dimensions] of items, also of such that came after the training: those are told by their words."""
        texts = np.array(ids, dtype=object)
        found = self.tables["item_ids"][_known(self.items, texts)] + self._words("item_words", texts, words)
        return self._heads["item_head"].run(found)

    def user_vectors(self, asked: Interactions) -> Float32s:
        """See `VectorRetriever.user_vectors`."""
        from scipy.sparse import csr_array

        user, item = last_met(asked.onto(self.items), self.longest)
        met = csr_array(
            (np.ones(len(user), np.float32), (user, item + 1)), shape=(len(asked.users), len(self.tables["history"]))
        )
        counts = np.maximum(np.bincount(user, minlength=len(asked.users)), 1).astype(np.float32)
        found = self.tables["user_ids"][_known(self.users, asked.users)]
        found = found + (met @ self.tables["history"]) / np.sqrt(counts)[:, None]
        return self._heads["user_head"].run(found + self._words("user_words", asked.users, self.user_words))

    def _words(self, table: str, ids: Texts, words: Tokens) -> Float32s:
        """float32[n, width]: the mean over each id's words, 0 where there are none."""
        rows = self.tables[table]
        found = np.zeros((len(ids), rows.shape[1]), np.float32)
        for place, buckets in enumerate(words.buckets(ids, len(rows)) if words.words else ()):
            if buckets:
                found[place] = rows[buckets].mean(axis=0)
        return found

    def arrays(self) -> Mapping[str, Any]:
        """See `Retriever.arrays`."""
        return {**self.tables, **self.heads, "vectors": self.vectors, "users": self.users}

    @classmethod
    def opened(cls, items: Texts, arrays: Mapping[str, Any], arguments: Mapping[str, Any]) -> Towers:
        """See `Retriever.opened`."""
        tables = {name: arrays[name] for name in TABLES}
        return cls(items, arrays["users"], tables, {h: arrays[h] for h in HEADS}, arrays["vectors"], **arguments)


TABLES = ("user_ids", "user_words", "history", "item_ids", "item_words")
HEADS = ("user_head", "item_head")


def _known(known: Any, ids: Any) -> Places:
    """Rows of a table of ids: 1 and on for those that are known, 0 for others."""
    if not len(known):
        return np.zeros(len(ids), np.int64)
    place = np.minimum(np.searchsorted(known, ids.astype(known.dtype.type)), len(known) - 1)
    # As Python's texts: numpy's own forget zeros at their end.
    found: Places = np.where(known[place].astype(object) == ids, place + 1, 0).astype(np.int64)
    return found
