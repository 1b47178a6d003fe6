"""Fraud probabilities and their causes from a folder of native weights. Hot path: one row at a time, one thread."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import xgboost
from numpy.typing import NDArray

from lamina.definitions.fraud import FEATURES
from lamina.errors import ModelUnavailable
from models.fraud.compiled import CompiledTrees
from models.fraud.encode import Encoder
from models.fraud.spec import (
    COMPILED_LIGHTGBM_FILE,
    COMPILED_XGBOOST_FILE,
    LIGHTGBM_FILE,
    XGBOOST_FILE,
    ModelSpec,
    correct,
)

Value = float | str | list[float] | list[str] | None
Float32s = NDArray[np.float32]


class Scorer:
    """A loaded model. Safe to use from several threads; each scores with one.

    `predict` is the score: the members' probabilities, weighted, then corrected for under-sampling. `explain` speaks of
    log-odds, which is where trees add up: see its text.

    Args: compiled: the same as `trees` and `leaves`, to score with in their place; absent in models trained before
    there were any.
    """

    def __init__(
        self,
        spec: ModelSpec,
        trees: xgboost.Booster,
        leaves: lightgbm.Booster,
        compiled: tuple[CompiledTrees, CompiledTrees] | None = None,
    ) -> None:
        self.spec = spec
        self._trees, self._leaves, self._compiled = trees, leaves, compiled
        self._trees.set_param({"nthread": 1})
        self._encoder = Encoder(spec.inputs)
        self._local = threading.local()
        empty = np.full((1, len(spec.inputs)), np.nan, np.float32)
        self.bias: float = float(self._contributions(empty)[0, -1]) + math.log(spec.negatives_kept)
        """Log-odds before any feature is looked at, corrected for under-sampling."""

    def predict(self, features: Mapping[str, Value]) -> float:
        """Probability of fraud. An absent feature, or None, takes its default; any the model lacks is ignored."""
        return float(self.score(self._row(features))[0])

    def predict_batch(self, rows: Sequence[Mapping[str, Value]]) -> list[float]:
        """Probability of fraud of each row, the same as `predict` of it."""
        if not rows:
            return []
        matrix = np.empty((len(rows), len(self.spec.inputs)), np.float32)
        for out, features in zip(matrix, rows, strict=True):
            self._encoder.fill(out, features)
        return [float(p) for p in self.score(matrix)]

    def explain(self, features: Mapping[str, Value]) -> list[tuple[str, float]]:
        """Each input's contribution to the log-odds, largest in size first.

        Tree SHAP values of both members, weighted as the members are. They and `bias` add up to `log_odds`: near, not
        equal to, the log-odds of `predict`, which weights probabilities.
        """
        found = self._contributions(self._row(features))[0, :-1]
        order = np.argsort(-np.abs(found), kind="stable")
        return [(self.spec.inputs[i].name, float(found[i])) for i in order]

    def log_odds(self, features: Mapping[str, Value]) -> float:
        """The members' log-odds, weighted and corrected for under-sampling: what `explain` adds up to."""
        row, weights = self._row(features), self.spec.ensemble
        trees = float(self._trees.inplace_predict(row, predict_type="margin", validate_features=False)[0])
        leaves = float(self._leaves.predict(row, raw_score=True, num_threads=1)[0])
        return weights.xgboost * trees + weights.lightgbm * leaves + math.log(self.spec.negatives_kept)

    def score(self, matrix: Float32s) -> NDArray[np.float64]:
        """float64[n] probabilities of encoded rows float32[n, inputs]."""
        weights = self.spec.ensemble
        if self._compiled is not None:
            trees, leaves = (member.predict(matrix) for member in self._compiled)
        else:
            trees = self._trees.inplace_predict(matrix, validate_features=False).astype(np.float64)
            leaves = np.asarray(self._leaves.predict(matrix, num_threads=1))
        blended: NDArray[np.float64] = weights.xgboost * trees + weights.lightgbm * leaves
        return correct(blended, self.spec.negatives_kept)

    def _row(self, features: Mapping[str, Value]) -> Float32s:
        row: Float32s | None = getattr(self._local, "row", None)
        if row is None:
            row = self._local.row = np.empty((1, len(self.spec.inputs)), np.float32)
        self._encoder.fill(row[0], features)
        return row

    def _contributions(self, matrix: Float32s) -> NDArray[np.float64]:
        """float64[n, inputs + 1]: blended contributions, the bias last."""
        weights = self.spec.ensemble
        data = xgboost.DMatrix(matrix, nthread=1)
        trees = self._trees.predict(data, pred_contribs=True, validate_features=False)
        leaves = self._leaves.predict(matrix, pred_contrib=True, num_threads=1)
        blended: NDArray[np.float64] = weights.xgboost * trees.astype(np.float64) + weights.lightgbm * leaves
        return blended


def load(folder: Path) -> Scorer:
    """The model in `folder`, ready to score.

    Raises: ModelUnavailable: when a file is missing or broken, or the definitions of its features have changed since.
    """
    spec = ModelSpec.read(folder)
    spec.check_against(FEATURES)
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
    return Scorer(spec, trees, leaves, compiled)


def _first_line(error: Any) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
