"""Since when a model errs more: change detectors of `river` on its errors, in the order in which the labels arrived.

An error is the share of all scores of the reference above that of a positive row: 0 for one that the model puts first.
Their mean is about one less the AUC, and says the same however many positives there are. Detectors are run anew over
the rows of the window: the same rows give the same answer, and no state can be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from river import drift

from lamina.monitoring.drift.distributions import Floats, Numbers


class Detector(Protocol):
    """What `river` calls a drift detector."""

    @property
    def drift_detected(self) -> bool:
        """Whether the value before changed something."""

    def update(self, x: float, /) -> object:
        """See one more value."""


def _adwin() -> Detector:
    detector: Detector = drift.ADWIN(delta=0.002)
    return detector


def _page_hinkley() -> Detector:
    """For values in [0, 1] of which positives come by the hundred: river's threshold of 50 is for larger ones."""
    detector: Detector = drift.PageHinkley(min_instances=30, delta=0.02, threshold=5.0, mode="up")
    return detector


DETECTORS: Mapping[str, Callable[[], Detector]] = {"adwin": _adwin, "page_hinkley": _page_hinkley}


def changes(detector: Detector, values: Floats) -> list[int]:
    """The places in `values`, float64[n], at which the detector finds a change."""
    found = []
    for place, value in enumerate(values.tolist()):
        detector.update(value)
        if detector.drift_detected:
            found.append(place)
    return found


def rank_errors(reference: Numbers, score: Floats) -> Floats:
    """For each score of a positive row, float64[n], the share of the reference's that are above it, ties counting half.

    >>> reference = Numbers(np.array([0.1, 0.2, 0.3, 0.4]), np.ones(4), missing=0, error=0.0)
    >>> rank_errors(reference, np.array([0.4, 0.05])).tolist()
    [0.125, 1.0]
    """
    before = np.nextafter(score, -np.inf)
    return 1 - (reference.share_at_most(score) + reference.share_at_most(before)) / 2


def risen(values: Floats, found: list[int]) -> int | None:
    """The place of the last change after which the values are higher than before it; None where there is none."""
    for place in reversed(found):
        if 0 < place < len(values) and values[place:].mean() > values[:place].mean():
            return place
    return None
