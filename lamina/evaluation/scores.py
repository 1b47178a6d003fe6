"""A model's scores of rows whose truth is looked at."""

from __future__ import annotations

from lamina.evaluation.metrics import Floats
from lamina.evaluation.table import Table
from lamina.scoring.checked import all_finite
from lamina.scoring.trained import TrainedScorer


def scores_of(scorer: TrainedScorer, rows: Table) -> Floats:
    """The first output of `scorer`, float64[n], of n `rows`.

    Raises: BadScore: when one of them is no finite number.
    """
    return all_finite(scorer.predict_columns(rows.inputs, len(rows))[scorer.outputs[0]], len(rows))
