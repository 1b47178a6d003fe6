"""What a trained ensemble of trees is: `spec.json` beside its weights. Serving needs nothing else to use them."""

from __future__ import annotations

import math
from datetime import date
from typing import Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lamina.contracts.features import FeatureSet
from lamina.errors import ModelUnavailable
from lamina.scoring.inputs import Input, fingerprint, misfit
from lamina.scoring.spec import Spec

XGBOOST_FILE = "xgboost.ubj"
COMPILED_XGBOOST_FILE = "xgboost.onnx"
COMPILED_LIGHTGBM_FILE = "lightgbm.onnx"
LIGHTGBM_FILE = "lightgbm.txt"

DEFAULTS = "the recorded defaults"
"""Where parameters come from that no search chose."""

SMALLEST = 1e-30
"""Stands for a probability of 0 where one divides by it."""

Probability = TypeVar("Probability", float, NDArray[np.float64])


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Ensemble(_Part):
    """Weights of the members' probabilities."""

    xgboost: float = Field(0.6, ge=0, le=1)
    lightgbm: float = Field(0.4, ge=0, le=1)

    @model_validator(mode="after")
    def _sum_is_one(self) -> Self:
        if abs(self.xgboost + self.lightgbm - 1) > 1e-9:
            raise ValueError(f"weights {self.xgboost} and {self.lightgbm} must add up to 1")
        return self


class Calibration(_Part):
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


class Split(_Part):
    """Which days the model was trained and tested on, both ends included, and how the rows were told apart.

    time: the test days follow the training days after `delay_days`, the time in which labels arrive. random: both are
    drawn, with equal shares of the label, from all the days. blocked_from: positive rows from this day on, once known,
    take their units out of the test; None: those from the first training day on.
    """

    kind: Literal["time", "random"]
    train_first: date
    train_last: date
    delay_days: int = Field(ge=0)
    test_first: date
    test_last: date
    blocked_from: date | None = None


class Rows(_Part):
    """How many rows there were: for training, of them used after under-sampling, and in the test.

    train_positives, test_positives: those with the label, by the names that the file has had since fraud was the only
    one. unknown: rows of the training days that were left out, as their truth cannot be known. let_through: rows that
    count for declined ones. labels_late: share of the training days' labels that took longer than `delay_days`.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    train: int
    train_positives: int = Field(alias="train_frauds")
    used: int
    test: int
    test_positives: int = Field(alias="test_frauds")
    unknown: int = 0
    let_through: int = 0
    labels_late: float | None = None


class ModelSpec(Spec):
    """Everything about a model but its weights.

    `negatives_kept` is the share of negative training rows that was used; probabilities are corrected for it,
    then pass `calibration`.
    `parameters_from` says who chose `parameters`; `money` what each policy would have cost in the test.
    `base_score` is what XGBoost starts from: it is fixed, because one fitted to rare labels costs average precision.
    """

    remedy = "train the model anew with this version"

    format: Literal[1] = 1
    system: str
    logical_date: date
    inputs: tuple[Input, ...]
    ensemble: Ensemble
    negatives_kept: float = Field(gt=0, le=1)
    calibration: Calibration | None = None
    base_score: float = Field(0.5, gt=0, lt=1)
    split: Split
    rows: Rows
    seed: int
    parameters: dict[str, dict[str, float | int | str]]
    parameters_from: str = DEFAULTS
    money: dict[str, dict[str, float]] = Field(default_factory=dict)
    metrics: dict[str, float]
    git_commit: str
    libraries: dict[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs, in the order of the weights' columns."""
        return tuple(i.name for i in self.inputs)

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change with any input's name, place or meaning."""
        return fingerprint(self.inputs)

    def check_against(self, features: FeatureSet) -> None:
        """Nothing, when every input still means what it meant in training; other features may have been added.

        Raises: ModelUnavailable: names the inputs that are gone or changed.
        """
        if complaint := misfit(self.inputs, features):
            raise ModelUnavailable(
                f"the {self.system} model of {self.logical_date} (features {self.fingerprint}) does not fit the "
                f"definitions: {complaint}. Train it again (python -m models.{self.system}.train --date D) "
                "or bring those definitions back"
            )


def correct(p: Probability, negatives_kept: float) -> Probability:
    """The probability of the label among all rows, given the one among rows with only a share of the negatives.

    Under-sampling multiplies the odds by 1 / kept (Dal Pozzolo et al. 2015), so this multiplies them by kept.

    >>> round(correct(0.5, 0.1), 4), correct(0.3, 1.0)
    (0.0909, 0.3)
    """
    kept = negatives_kept * p
    return kept / (kept + (1.0 - p))
