"""What a version will be compared with in use: the rows that it was made of, and its scores of those of the test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lamina.evaluation.metrics import Floats
from lamina.evaluation.table import Table
from lamina.monitoring.drift.reference import Reference, make_reference


def reference_of(learn: Table, served: Table, scores: Floats, names: Sequence[str]) -> Reference:
    """The reference of a version with the inputs `names`.

    Args: learn: the rows learnt from, before negatives are left out; served, scores: all rows of the test days, also of
    units that leave the test once they are known, and float64[n], what the version gave them.
    """
    return make_reference(
        {name: learn.inputs[name] for name in names},
        day=np.concatenate([learn.day, served.day]),
        positive=np.concatenate([learn.positive, served.positive]),
        weight=np.concatenate([learn.weight, served.weight]),
        test_features={name: served.inputs[name] for name in names},
        test_day=served.day,
        test_score=scores,
        test_positive=served.positive,
        test_unit=served.unit,
    )
