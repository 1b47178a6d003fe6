"""Seeded scores with their truth, of which NannyML was asked: a reference, and chunks that come after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REFERENCE, CHUNK, CHUNKS = 4000, 1500, 3


@dataclass(frozen=True)
class Case:
    """positive: bool[n], score: float64[n], flagged: bool[n]; the first `REFERENCE` rows are the reference."""

    positive: NDArray[np.bool_]
    score: NDArray[np.float64]
    flagged: NDArray[np.bool_]


def _drawn(seed: int, share: float, threshold: float, bend: float) -> Case:
    """Scores that are the probabilities, raised to the power `bend`: 1 leaves them calibrated. The chunks are shifted
    to higher and higher probabilities.
    """
    rng = np.random.default_rng(seed)
    n = REFERENCE + CHUNKS * CHUNK
    shift = np.concatenate([np.zeros(REFERENCE), np.repeat(np.arange(CHUNKS) * 0.5, CHUNK)])
    # Uniform numbers alone: their stream is the same in every version of numpy.
    odds = 3.0 * (rng.random(n) + rng.random(n) + rng.random(n) - 1.5) + np.log(share / (1 - share)) + shift
    likely = 1 / (1 + np.exp(-odds))
    positive = rng.random(n) < likely
    return Case(positive, likely**bend, likely >= threshold)


CASES = {
    "calibrated": _drawn(10, 0.5, 0.5, 1.0),
    "overdrawn": _drawn(2, 0.4, 0.5, 3.0),
    "rare": _drawn(3, 0.04, 0.15, 0.5),
}
"""By name: scores that are probabilities, scores that are far too low, and rare positives whose scores are too high."""
