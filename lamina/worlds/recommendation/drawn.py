"""Chance that can be asked for again: a uniform number for each combination of whole numbers. Hot path."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB))
_LAST = np.uint64(31)


def uniform(*keys: Array | int) -> NDArray[np.float64]:
    """float64[n] in [0, 1), the same for the same keys whenever it is asked for (splitmix64, a round for each key).

    >>> uniform(7, np.array([0, 1, 2])).round(3).tolist() == uniform(7, np.arange(3)).round(3).tolist()
    True
    """
    found = np.zeros(1, dtype=np.uint64)
    for key in keys:
        found = _mixed((found ^ np.asarray(key, dtype=np.int64).astype(np.uint64)) + _STEP)
    return np.asarray((found >> np.uint64(11)) * 2.0**-53)


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    for shift, factor in _MIX:
        bits = (bits ^ (bits >> shift)) * factor
    return np.asarray(bits ^ (bits >> _LAST))


def chosen(cumulated: Array, u: Array) -> Array:
    """int64[n]: the place in each row of cumulated weights, float[n, places] that end with their sum, where `u` in
    [0, 1) of the sum falls.

    >>> chosen(np.array([[0.5, 1.0], [0.1, 1.0]]), np.array([0.3, 0.3])).tolist()
    [0, 1]
    """
    return np.asarray((cumulated <= (u * cumulated[:, -1])[:, None]).sum(axis=1))
