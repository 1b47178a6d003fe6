"""Who met what: what a retriever learns from, and what it is told of users when it is asked for theirs.

users  items            user  item  weight        matrix()   a  b  c
[u, v] [a, b, c]        0     0     1.0           u          1  2  .
                        0     1     2.0           v          .  .  1
                        1     2     1.0
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.errors import LaminaError

Texts = NDArray[np.object_]
Places = NDArray[np.int64]
Floats = NDArray[np.float64]


class InteractionsError(LaminaError):
    """Interactions that cannot be: columns of different lengths, or weights that are no weights."""


@dataclass(frozen=True)
class Interactions:
    """Pairs of a user and an item, in any order; a pair may be there several times.

    Args: users, items: object[m], ids as texts, each once and sorted; user, item: int64[n], places in them; weight:
    float64[n], above zero; time_s: float64[n], seconds since the epoch, None where no times are known.
    """

    users: Texts
    items: Texts
    user: Places
    item: Places
    weight: Floats
    time_s: Floats | None = None

    @classmethod
    def of(
        cls,
        users: Sequence[Any] | NDArray[Any],
        items: Sequence[Any] | NDArray[Any],
        weight: Sequence[float] | NDArray[Any] | None = None,
        time_s: Sequence[float] | NDArray[Any] | None = None,
    ) -> Interactions:
        """Interactions from columns of n rows; ids become texts, and every weight is one where none are given.

        Raises: InteractionsError: columns differ in length, a weight is not above zero or not finite, or a time is
        not finite.

        >>> Interactions.of(["u", "u", "v"], [7, 8, 7]).matrix().toarray().tolist()
        [[1.0, 1.0], [1.0, 0.0]]
        """
        weights = np.ones(len(users)) if weight is None else np.asarray(weight, np.float64)
        times = None if time_s is None else np.asarray(time_s, np.float64)
        lengths = {len(users), len(items), len(weights), len(users) if times is None else len(times)}
        if len(lengths) > 1:
            raise InteractionsError(f"columns of {sorted(lengths)} rows: each interaction needs all of them")
        if not (np.isfinite(weights) & (weights > 0)).all():
            raise InteractionsError("a weight is not above zero, or not finite: leave out what was no interaction")
        if times is not None and not np.isfinite(times).all():
            raise InteractionsError("a time is not finite: give no times at all where some are not known")
        (user_ids, user), (item_ids, item) = (_coded(column) for column in (users, items))
        return cls(user_ids, item_ids, user, item, weights, times)

    def __len__(self) -> int:
        """Rows, not pairs."""
        return len(self.user)

    def take(self, rows: NDArray[np.bool_] | Places) -> Interactions:
        """Some of the rows; users and items stay, also those that have none left."""
        times = None if self.time_s is None else self.time_s[rows]
        return replace(self, user=self.user[rows], item=self.item[rows], weight=self.weight[rows], time_s=times)

    def onto(self, items: Texts) -> Interactions:
        """The same over other items, such as those that a model knows; rows of items that are not among them are gone.

        Args: items: sorted, each once.
        """
        if items is self.items or (len(items) == len(self.items) and bool((items == self.items).all())):
            return self
        if not len(items):
            return replace(self.take(np.empty(0, np.int64)), items=items)
        place = np.minimum(np.searchsorted(items, self.items), len(items) - 1)
        known = (items[place] == self.items)[self.item]
        kept = self.take(known)
        return replace(kept, items=items, item=place[kept.item])

    def matrix(self, weight: Floats | None = None) -> Any:
        """scipy.sparse.csr_array, float64[users, items]: the sum of a pair's weights.

        Args: weight: float64[n] in the place of the rows' own.
        """
        from scipy.sparse import csr_array

        values = self.weight if weight is None else weight
        return csr_array((values, (self.user, self.item)), shape=(len(self.users), len(self.items)))

    def seen(self) -> Any:
        """scipy.sparse.csr_array, float64[users, items]: one for every pair, however often and with whatever weight."""
        found = self.matrix()
        found.data[:] = 1.0
        return found

    def fading(self, half_life_s: float) -> Floats:
        """Weights float64[n] that halve with each `half_life_s` before the user's own last time: by another moment than
        that all of a user's would change by one factor, which no order notices, and those of long ago vanish.

        Raises: InteractionsError: no times are known.
        """
        if self.time_s is None:
            raise InteractionsError("weights are to fade with age, and no times are known: leave the half-life out")
        last = np.full(len(self.users), -np.inf)
        np.maximum.at(last, self.user, self.time_s)
        found: Floats = self.weight * np.exp2((self.time_s - last[self.user]) / half_life_s)
        return found


def _coded(column: Sequence[Any] | NDArray[Any]) -> tuple[Texts, Places]:
    """Distinct values as texts, object[m] and sorted, and int64[n], the place of each row's."""
    values, place = np.unique(np.asarray(column), return_inverse=True)
    texts = np.array([str(value) for value in values.tolist()], dtype=object)
    # Numbers are sorted otherwise than the texts of them.
    order = np.argsort(texts)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return texts[order], rank[place].astype(np.int64) if len(order) else np.empty(0, np.int64)
