"""What a trained ensemble of trees is: `spec.json` beside its weights. Serving needs nothing else to use them."""

from __future__ import annotations

import math
from typing import Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from lamina.scoring.trained_spec import Part, TrainedSpec

XGBOOST_FILE = "xgboost.ubj"
COMPILED_XGBOOST_FILE = "xgboost.onnx"
COMPILED_LIGHTGBM_FILE = "lightgbm.onnx"
LIGHTGBM_FILE = "lightgbm.txt"

SMALLEST = 1e-30
"""Stands for a probability of 0 where one divides by it."""

Probability = TypeVar("Probability", float, NDArray[np.float64])


class Ensemble(Part):
    """Weights of the members' probabilities."""

    xgboost: float = Field(0.6, ge=0, le=1)
    lightgbm: float = Field(0.4, ge=0, le=1)

    @model_validator(mode="after")
    def _sum_is_one(self) -> Self:
        if abs(self.xgboost + self.lightgbm - 1) > 1e-9:
            raise ValueError(f"weights {self.xgboost} and {self.lightgbm} must add up to 1")
        return self


class Calibration(Part):
    """A line that log-odds pass before they are a score: `slope` times them plus `intercept`. Changes no order."""

    slope: float = Field(gt=0, allow_inf_nan=False)
    intercept: float = Field(allow_inf_nan=False)

    def apply(self, p: NDArray[np.float64], negatives_kept: float = 1.0) -> NDArray[np.float64]:
        """The calibrated probabilities of float64[n], which are corrected by `negatives_kept` (see `correct`) before.

        >>> Calibration(slope=1.0, intercept=0.0).apply(np.array([0.0, 0.25, 1.0])).round(6).tolist()
        [0.0, 0.25, 1.0]
        """
        # Odds against, all in one: hot path.
        constant = math.exp(-self.intercept) * negatives_kept**-self.slope
        found: NDArray[np.float64] = 1.0 / (1.0 + constant * ((1.0 - p) / np.maximum(p, SMALLEST)) ** self.slope)
        return found


class ModelSpec(TrainedSpec):
    """Everything about an ensemble but its weights.

    Probabilities are corrected for `negatives_kept`, then pass `calibration`.
    `base_score` is what XGBoost starts from: it is fixed, because one fitted to rare labels costs average precision.
    """

    format: Literal[1] = 1
    ensemble: Ensemble
    negatives_kept: float = Field(gt=0, le=1)
    calibration: Calibration | None = None
    base_score: float = Field(0.5, gt=0, lt=1)
    parameters: dict[str, dict[str, float | int | str]]

    @property
    def made_of(self) -> str:
        """What it is made of, in words for its card."""
        return (
            f"{self.ensemble.xgboost:g} XGBoost + {self.ensemble.lightgbm:g} LightGBM, corrected for "
            f"under-sampling{', calibrated' if self.calibration else ''}"
        )


def correct(p: Probability, negatives_kept: float) -> Probability:
    """The probability of the label among all rows, given the one among rows with only a share of the negatives.

    Under-sampling multiplies the odds by 1 / kept (Dal Pozzolo et al. 2015), so this multiplies them by kept.

    >>> round(correct(0.5, 0.1), 4), correct(0.3, 1.0)
    (0.0909, 0.3)
    """
    kept = negatives_kept * p
    return kept / (kept + (1.0 - p))
