"""What a loaded model is, whatever it is made of: trees of a system, or a network of anybody's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SPEC_FILE = "spec.json"
"""Lies beside the weights of every model and says what they are."""

SCORE = "score"
"""The output of a model that gives one number."""

Outputs = Mapping[str, NDArray[np.float64]]
"""By name, float64[n] of n rows."""

Value = float | str | list[float] | list[str] | None
"""Of a feature."""


class Scorer(Protocol):
    """A loaded model. Safe to use from several threads. An absent feature, or None, takes the input's default."""

    @property
    def system(self) -> str:
        """The system whose features it reads."""

    @property
    def names(self) -> tuple[str, ...]:
        """The features it reads, in the order of its inputs."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what it gives for a row. The first is the score, by which something is decided."""

    def predict(self, features: Mapping[str, Value]) -> float:
        """The score of one row; what it says is the model's business, such as a probability of fraud."""

    def predict_batch(self, rows: Sequence[Mapping[str, Value]]) -> Outputs:
        """Every output of each row; the scores are the same as `predict` of each."""

    def predict_columns(self, columns: Mapping[str, NDArray[np.generic]], rows: int) -> Outputs:
        """Every output of each row, as `predict_batch`, from one array an input as `Encoder.matrix` takes them."""

    def explain(self, features: Mapping[str, Value]) -> list[tuple[str, float]]:
        """What each input added to the score, largest in size first; empty where the model cannot tell."""
