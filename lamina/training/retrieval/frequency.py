"""How often an item is drawn into a batch, learnt while batches go by (Yi et al. 2019, "Sampling-bias-corrected neural
modeling for large corpus item recommendations", algorithm 2).

For each item the mean time between two draws is kept, in steps, and when it was last drawn. An item drawn at the steps
4, 9 and 14 has the interval 5, and so is in one batch of five. Where an item is drawn c times in one step, its interval
counts c times, each a c-th: the interval of what is in every batch four times is 1/4, and not 1 as in the paper, which
takes for granted that nothing is twice in a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class StreamingFrequency:
    """Of items that are numbered 0 to `items` - 1.

    Args: rate: by how much a new interval moves the mean; lower is steadier, higher follows change sooner. The first
    draws count as many: the mean of n intervals, until 1/n falls below the rate.
    """

    def __init__(self, items: int, rate: float = 0.01) -> None:
        self._rate, self._step = rate, 0
        self._last, self._interval, self._draws = np.zeros(items), np.zeros(items), np.zeros(items)

    def update(self, drawn: Ints) -> None:
        """One batch has gone by: the items drawn into it, with repeats."""
        self._step += 1
        items, times = np.unique(drawn, return_counts=True)
        self._draws[items] += times
        weight = np.minimum(1.0, times * np.maximum(self._rate, 1.0 / self._draws[items]))
        gap = (self._step - self._last[items]) / times
        self._interval[items] += weight * (gap - self._interval[items])
        self._last[items] = self._step

    def log_count(self, items: Ints) -> Floats:
        """Logarithm of how often each item is expected in a batch, float64[n]. An item that was never drawn takes the
        count of one that is drawn first in the next batch.
        """
        seen = self._draws[items] > 0
        interval = np.where(seen, self._interval[items], self._step + 1.0)
        found: Floats = -np.log(interval)
        return found

    def state(self) -> dict[str, Any]:
        """As it is kept in a checkpoint."""
        return {"step": self._step, "last": self._last, "interval": self._interval, "draws": self._draws}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._step = int(state["step"])
        self._last, self._interval, self._draws = (
            np.array(state[name], np.float64) for name in ("last", "interval", "draws")
        )
