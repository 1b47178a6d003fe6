"""Probabilities by boosted trees, and their causes, from a folder of native weights. Hot path: one row, one thread."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.contracts.features import FeatureSet
from lamina.errors import ModelUnavailable
from lamina.scoring.boosters import lightgbm, xgboost
from lamina.scoring.compiled import Compiled
from lamina.scoring.encode import Encoder
from lamina.scoring.protocol import SCORE, Outputs, Value
from lamina.scoring.trees_spec import (
    COMPILED_LIGHTGBM_FILE,
    COMPILED_XGBOOST_FILE,
    LIGHTGBM_FILE,
    XGBOOST_FILE,
    ModelSpec,
    correct,
)

Float32s = NDArray[np.float32]
Float64s = NDArray[np.float64]

_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(32)
STEPS: Float64s = (_NODES + 1.0) / 2.0
STEP_WEIGHTS: Float64s = _NODE_WEIGHTS / 2.0
"""Where between 0 and 1 an average is taken, and with what weights (Gauss and Legendre)."""


class CompiledTrees(Compiled):
    """Runs compiled trees on one thread. Safe to use from several."""

    def predict(self, matrix: Float32s) -> Float64s:
        """float64[n] probabilities of float32[n, features]."""
        return self.run(matrix)[:, 1].astype(np.float64)


class TreesScorer:
    """A loaded ensemble; implements `Scorer`. Safe to use from several threads; each scores with one.

    `predict` is the score: the members' probabilities, weighted, corrected for under-sampling, then calibrated.
    `explain` says in log-odds, which is where trees add up, how the inputs made it.

    Args: compiled: the same as `trees` and `leaves`, to score with in their place; absent in models trained before
    there were any. output: what the score is called.
    """

    def __init__(
        self,
        spec: ModelSpec,
        trees: xgboost.Booster,
        leaves: lightgbm.Booster,
        compiled: tuple[CompiledTrees, CompiledTrees] | None = None,
        output: str = SCORE,
    ) -> None:
        self.spec = spec
        self.system, self.names, self.outputs = spec.system, spec.names, (output,)
        self._output = output
        self.calibrated = spec.calibration is not None
        self._trees, self._leaves, self._compiled = trees, leaves, compiled
        self._trees.set_param({"nthread": 1})
        self._encoder = Encoder(spec.inputs)
        self._local = threading.local()
        empty = np.full((1, len(spec.inputs)), np.nan, np.float32)
        base = self._contributions(empty)[:, -1]
        self.bias: float = self._final(_log_odds(self._blended(base)))
        """Log-odds of the score before any feature is looked at."""

    def predict(self, features: Mapping[str, Value]) -> float:
        """Probability of the label. An absent feature, or None, takes its default; any the model lacks is ignored."""
        return float(self.score(self._row(features))[0])

    def predict_batch(self, rows: Sequence[Mapping[str, Value]]) -> Outputs:
        """Probability of each row, the same as `predict` of it."""
        if not rows:
            return {self._output: np.empty(0)}
        matrix = np.empty((len(rows), len(self.spec.inputs)), np.float32)
        for out, features in zip(matrix, rows, strict=True):
            self._encoder.fill(out, features)
        return {self._output: self.score(matrix)}

    def predict_columns(self, columns: Mapping[str, NDArray[np.generic]], rows: int) -> Outputs:
        """Probabilities from one array an input, the same as `predict` of each row."""
        return {self._output: self.score(self._encoder.matrix(columns, rows))}

    def explain(self, features: Mapping[str, Value]) -> list[tuple[str, float]]:
        """Each input's contribution to the log-odds of the score, largest in size first.

        They and `bias` add up to the log-odds of `predict`, to rounding. Each member's are its tree SHAP values. The
        score blends probabilities, so a step in a member's margin counts for what it moves the blend's log-odds,
        averaged along the straight way from the members' means to this row (Aumann and Shapley's rule).
        """
        found = self._contributions(self._row(features))
        base, inputs = found[:, -1], found[:, :-1]
        parts = self._shares(base, base + inputs.sum(axis=1)) @ inputs
        order = np.argsort(-np.abs(parts), kind="stable")
        return [(self.spec.inputs[i].name, float(parts[i])) for i in order]

    def score(self, matrix: Float32s) -> NDArray[np.float64]:
        """float64[n] probabilities of encoded rows float32[n, inputs]."""
        weights = self.spec.ensemble
        if self._compiled is not None:
            trees, leaves = (member.predict(matrix) for member in self._compiled)
        else:
            trees = self._trees.inplace_predict(matrix, validate_features=False).astype(np.float64)
            leaves = np.asarray(self._leaves.predict(matrix, num_threads=1))
        blended: NDArray[np.float64] = weights.xgboost * trees + weights.lightgbm * leaves
        if self.spec.calibration is not None:
            return self.spec.calibration.apply(blended, self.spec.negatives_kept)
        return correct(blended, self.spec.negatives_kept)

    def _row(self, features: Mapping[str, Value]) -> Float32s:
        row: Float32s | None = getattr(self._local, "row", None)
        if row is None:
            row = self._local.row = np.empty((1, len(self.spec.inputs)), np.float32)
        self._encoder.fill(row[0], features)
        return row

    def _contributions(self, matrix: Float32s) -> Float64s:
        """float64[2, inputs + 1]: what each input of the one row adds to each member's margin, the bias last."""
        data = xgboost.DMatrix(matrix, nthread=1)
        trees = self._trees.predict(data, pred_contribs=True, validate_features=False)
        leaves = self._leaves.predict(matrix, pred_contrib=True, num_threads=1)
        return np.concatenate([trees, leaves]).astype(np.float64)

    def _blended(self, margins: Float64s) -> Float64s:
        """Probabilities of float64[2, ...] margins of the members, blended."""
        trees, leaves = 1.0 / (1.0 + np.exp(-margins))
        blended: Float64s = self.spec.ensemble.xgboost * trees + self.spec.ensemble.lightgbm * leaves
        return blended

    def _shares(self, start: Float64s, end: Float64s) -> Float64s:
        """float64[2]: by how much the score's log-odds rise with each member's margin, on average from start to end."""
        margins = start[:, None] + (end - start)[:, None] * STEPS
        p = self._blended(margins)
        weights = np.array([[self.spec.ensemble.xgboost], [self.spec.ensemble.lightgbm]])
        slopes = weights / (2.0 + np.exp(-margins) + np.exp(margins)) / (p * (1.0 - p))
        shares: Float64s = slopes @ STEP_WEIGHTS
        return shares if self.spec.calibration is None else shares * self.spec.calibration.slope

    def _final(self, log_odds: float) -> float:
        """The score's log-odds from the blend's: corrected for under-sampling, calibrated."""
        corrected = log_odds + math.log(self.spec.negatives_kept)
        line = self.spec.calibration
        return corrected if line is None else line.slope * corrected + line.intercept


def _log_odds(p: Float64s) -> float:
    return float(np.log(p / (1.0 - p)))


def load(folder: Path, features: FeatureSet, output: str = SCORE) -> TreesScorer:
    """The model in `folder`, ready to score what `features` define; what it gives is called `output`.

    Raises: ModelUnavailable: when a file is missing or broken, or the definitions of its features have changed since.
    """
    spec = ModelSpec.read(folder)
    spec.check_against(features)
    try:
        trees = xgboost.Booster(model_file=str(folder / XGBOOST_FILE))
        leaves = lightgbm.Booster(model_file=str(folder / LIGHTGBM_FILE))
    except (xgboost.core.XGBoostError, lightgbm.basic.LightGBMError, OSError) as error:
        raise ModelUnavailable(
            f"weights in {folder} cannot be read ({_first_line(error)}): download the model again"
        ) from None
    for name, width in (("XGBoost", trees.num_features()), ("LightGBM", leaves.num_feature())):
        if width != len(spec.inputs):
            raise ModelUnavailable(
                f"{folder}: {name} takes {width} inputs, the spec lists {len(spec.inputs)}: train the model anew"
            )
    files = (folder / COMPILED_XGBOOST_FILE, folder / COMPILED_LIGHTGBM_FILE)
    compiled = None
    if all(file.exists() for file in files):
        compiled = (CompiledTrees.read(files[0]), CompiledTrees.read(files[1]))
    return TreesScorer(spec, trees, leaves, compiled, output)


def _first_line(error: Any) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
