"""A logistic regression from plain weights in its spec: nothing beside `spec.json` is read.

A number goes in as its logarithm, scaled by the mean and deviation of what was learnt from; where it is missing it adds
nothing. A text adds the weight of its value, if it has one. An example of one input:
amount 250 with mean 5.0 and deviation 1.2 of ln(1 + 250) = 5.53 goes in as 0.44.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lamina.contracts.features import FeatureSet
from lamina.scoring.protocol import SCORE, Outputs, Value
from lamina.scoring.trained_spec import Part, TrainedSpec

KIND: Literal["linear"] = "linear"
WIDEST = 8.0
"""Scaled numbers beyond this are taken as this: one that was never seen so large must not decide alone."""

Float64s = NDArray[np.float64]


class Weight(Part):
    """Of a number: what it is scaled by, and what one deviation adds to the log-odds."""

    mean: float
    deviation: float = Field(gt=0)
    weight: float


class LinearSpec(TrainedSpec):
    """A logistic regression. `numbers` by input, `texts` by input and value; `intercept` in log-odds."""

    remedy = "export the regression again with this version"

    format: Literal[1] = 1
    kind: Literal["linear"] = KIND
    intercept: float
    numbers: dict[str, Weight]
    texts: dict[str, dict[str, float]]

    @property
    def made_of(self) -> str:
        """What it is made of, in words for its card."""
        return f"logistic regression, learnt row by row, with {len(self.numbers) + len(self.texts)} inputs"


def squashed(values: Float64s) -> Float64s:
    """Sign and logarithm: counts and amounts have long tails, and one large row must not turn a weight around.

    >>> squashed(np.array([0.0, np.e - 1, 1 - np.e])).round(6).tolist()
    [0.0, 1.0, -1.0]
    """
    found: Float64s = np.sign(values) * np.log1p(np.abs(values))
    return found


class LinearScorer:
    """A loaded regression; implements `Scorer`. Safe to use from several threads: it holds nothing that changes."""

    calibrated = True
    """It is fitted to probabilities."""

    def __init__(self, spec: LinearSpec, output: str = SCORE) -> None:
        self.spec = spec
        self.system, self.names, self.outputs = spec.system, spec.names, (output,)
        self._output = output
        weights = list(spec.numbers.values())
        self._mean, self._deviation, self._weight = (
            np.array([getattr(each, part) for each in weights], np.float64) for part in ("mean", "deviation", "weight")
        )

    def predict(self, features: Mapping[str, Value]) -> float:
        """See `Scorer.predict`."""
        return float(self.predict_batch([features])[self._output][0])

    def predict_batch(self, rows: Sequence[Mapping[str, Value]]) -> Outputs:
        """See `Scorer.predict_batch`."""
        return self.predict_columns(self._columns(rows), len(rows))

    def predict_columns(self, columns: Mapping[str, NDArray[np.generic]], rows: int) -> Outputs:
        """See `Scorer.predict_columns`."""
        log_odds = self.spec.intercept + self._parts(columns, rows).sum(axis=1)
        return {self._output: 1.0 / (1.0 + np.exp(-log_odds))}

    def explain(self, features: Mapping[str, Value]) -> list[tuple[str, float]]:
        """What each input added to the log-odds, largest in size first; with the intercept they add up to them."""
        parts = self._parts(self._columns([features]), 1)[0]
        named = zip((*self.spec.numbers, *self.spec.texts), parts.tolist(), strict=True)
        return sorted(named, key=lambda item: -abs(item[1]))

    def _columns(self, rows: Sequence[Mapping[str, Value]]) -> dict[str, NDArray[np.generic]]:
        columns: dict[str, NDArray[np.generic]] = {
            name: np.array([_number(row.get(name)) for row in rows], np.float64) for name in self.spec.numbers
        }
        return columns | {name: np.array([row.get(name) for row in rows], object) for name in self.spec.texts}

    def _parts(self, columns: Mapping[str, NDArray[np.generic]], rows: int) -> Float64s:
        """float64[rows, inputs]: what each adds to the log-odds, numbers first."""
        found = np.empty((rows, len(self.spec.numbers) + len(self.spec.texts)))
        for i, name in enumerate(self.spec.numbers):
            scaled = (squashed(np.asarray(columns[name], np.float64)) - self._mean[i]) / self._deviation[i]
            found[:, i] = np.nan_to_num(np.clip(scaled, -WIDEST, WIDEST)) * self._weight[i]
        for i, (name, weights) in enumerate(self.spec.texts.items(), len(self.spec.numbers)):
            found[:, i] = [weights.get(value, 0.0) for value in columns[name]]
        return found


def _number(value: Value) -> float:
    return np.nan if value is None or isinstance(value, str | list) else float(value)


def load(folder: Path, features: FeatureSet, output: str = SCORE) -> LinearScorer:
    """The regression in `folder`, ready to score what `features` define.

    Raises: ModelUnavailable: when the spec is missing or broken, or the definitions have changed since.
    """
    spec = LinearSpec.read(folder)
    spec.check_against(features)
    return LinearScorer(spec, output)
