"""What a model gave, looked at before anybody uses it: one finite number a row, or the model has failed. Hot path.

A comparison with NaN is false, so a score that is none passes every threshold as if all were well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lamina.errors import BadScore
from lamina.scoring.protocol import Scorer, Value

Score = TypeVar("Score", float, float | None)

ROUNDING = 1e-6
"""By so much a probability may leave [0, 1]: sums of floats do."""


def finite(score: float) -> float:
    """`score`.

    Raises: BadScore: when it is no finite number.

    >>> finite(1.5)
    1.5
    """
    if not math.isfinite(score):
        raise BadScore(f"a score of {score} is no finite number: look at the model's inputs and weights")
    return score


def probability(score: float) -> float:
    """`score`, brought into [0, 1] where rounding alone took it out.

    Raises: BadScore: when it is no probability.

    >>> probability(0.25), probability(1.0000000000000002)
    (0.25, 1.0)
    """
    if 0.0 <= score <= 1.0:
        return score
    if -ROUNDING <= score <= 1.0 + ROUNDING:
        return min(max(score, 0.0), 1.0)
    raise BadScore(f"a score of {score} is no probability: look at the model's inputs and weights")


def as_many(scores: Sequence[Score], rows: int) -> Sequence[Score]:
    """`scores`, which are to be those of `rows` rows.

    Raises: BadScore: when there are more or fewer, so that nobody knows whose each is.

    >>> as_many([0.5, 0.25], 2)
    [0.5, 0.25]
    """
    if len(scores) != rows:
        raise BadScore(f"{len(scores)} scores of {rows} rows: nobody knows whose they are")
    return scores


def scores_of(scorer: Scorer, rows: Sequence[Mapping[str, Value]]) -> Sequence[float]:
    """The score of each row, as the model gives it: its first output.

    Raises: BadScore: as `as_many`.
    """
    scores: list[float] = scorer.predict_batch(rows)[scorer.outputs[0]].tolist()
    return as_many(scores, len(rows))


def outputs_of(scorer: Scorer, row: Mapping[str, Value]) -> dict[str, float]:
    """Everything that the model gives for one row, by name, the score first.

    Raises: BadScore: when the score is no probability, or another output no finite number.
    """
    if len(scorer.outputs) == 1:
        return {scorer.outputs[0]: probability(scorer.predict(row))}
    return each_of(scorer, [row])[0]


def each_of(scorer: Scorer, rows: Sequence[Mapping[str, Value]]) -> list[dict[str, float]]:
    """What `outputs_of` gives of each row, from one call of the model.

    Raises: BadScore: as `as_many`, and as `outputs_of` of any row.
    """
    found = scorer.predict_batch(rows)
    first, *more = ((name, as_many(found[name].tolist(), len(rows))) for name in scorer.outputs)
    made = [{first[0]: probability(score)} for score in first[1]]
    for name, values in more:
        for outputs, value in zip(made, values, strict=True):
            outputs[name] = finite(value)
    return made


def column(scores: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """float64[rows] of `scores`, NaN wherever one is not finite.

    Raises: BadScore: when there are more or fewer.

    >>> column(np.array([0.5, np.inf]), 2).tolist()
    [0.5, nan]
    """
    if scores.shape != (rows,):
        raise BadScore(f"scores of shape {scores.shape} for {rows} rows: nobody knows whose they are")
    return np.where(np.isfinite(scores), scores, np.nan)


def all_finite(scores: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """`scores`, float64[rows].

    Raises: BadScore: when there are more or fewer, or one is not finite: figures made from such scores say nothing.
    """
    found = column(scores, rows)
    if wrong := int(np.isnan(found).sum()):
        raise BadScore(f"{wrong} of {rows} scores are no finite numbers: look at the model's inputs and weights")
    return found
