"""Items and users of tests: users' vectors point elsewhere than items' do, and popular items have long vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

VERSION = "4"


TASTES = np.random.default_rng(0).normal(size=(3, 16))
"""What vectors of 16 numbers are mostly made of."""


def items(number: int = 3000) -> tuple[list[str], NDArray[np.float32]]:
    """Ids and vectors, float32[number, 16]."""
    rng = np.random.default_rng(1)
    vectors = rng.normal(0.3, 1, (number, 3)) @ TASTES * rng.lognormal(0, 0.5, (number, 1))
    vectors += rng.normal(0, 0.05, (number, 16))
    return [f"item-{n}" for n in range(number)], vectors.astype(np.float32)


def users(number: int = 200) -> NDArray[np.float32]:
    """Vectors, float32[number, 16]."""
    rng = np.random.default_rng(2)
    return (rng.normal(-0.1, 1, (number, 3)) @ TASTES + rng.normal(0, 0.3, (number, 16))).astype(np.float32)
