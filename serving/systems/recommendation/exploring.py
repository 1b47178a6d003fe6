"""A position of a list that is drawn by chance, and the probability of what was drawn. Hot path.

First a pool is drawn by its weight, of those that have something left, then one of its videos, all alike:

    fresh (0.5): a, b     untried (0.5): b, c, d, e        b: 0.5 / 2 + 0.5 / 4 = 0.375
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Drawn(NamedTuple):
    """A video, the pool that it was drawn from, and the probability of the video, whichever pool it comes from."""

    id: str
    pool: str
    propensity: float


def draw(pools: Mapping[str, Sequence[str]], weights: Mapping[str, float], rng: np.random.Generator) -> Drawn | None:
    """One video of `pools`; None where all are empty.

    Args: pools: ids that may be shown, each once in a pool; weights: by pool, above 0.
    """
    names = [name for name in weights if pools.get(name)]
    if not names:
        return None
    whole = sum(weights[name] for name in names)
    chance = [weights[name] / whole for name in names]
    pool = names[min(int(np.searchsorted(np.cumsum(chance), rng.random(), side="right")), len(names) - 1)]
    id_ = pools[pool][int(rng.integers(len(pools[pool])))]
    shares = [share / len(pools[name]) for name, share in zip(names, chance, strict=True) if id_ in pools[name]]
    return Drawn(id_, pool, min(1.0, sum(shares)))
