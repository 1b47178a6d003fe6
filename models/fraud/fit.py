"""Trees from rows: under-sampling, then XGBoost and LightGBM by their own interfaces.

The parameters were chosen on test weeks before 2018-08-08 of the fraud handbook; see docs/concepts/model.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import lightgbm
import numpy as np
import xgboost
from numpy.typing import NDArray

from models.fraud.compiled import compile_lightgbm, compile_xgboost
from models.fraud.metrics import Flags, Ints
from models.fraud.spec import COMPILED_LIGHTGBM_FILE, COMPILED_XGBOOST_FILE, LIGHTGBM_FILE, XGBOOST_FILE

BASE_SCORE = 0.5
"""XGBoost's first guess. Fitted to rare labels, which is its default, it costs average precision."""

Parameters = dict[str, float | int | str]

XGBOOST: Parameters = {
    "objective": "binary:logistic",
    "base_score": BASE_SCORE,
    "tree_method": "hist",
    "max_depth": 4,
    "learning_rate": 0.05,
    "min_child_weight": 5,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "rounds": 200,
}
LIGHTGBM: Parameters = {
    "objective": "binary",
    "num_leaves": 15,
    "learning_rate": 0.05,
    "min_child_samples": 50,
    "rounds": 200,
}


@dataclass(frozen=True)
class Sample:
    """Places of the rows to learn from, ascending, and the share of the legitimate ones among them."""

    rows: Ints
    negatives_kept: float


@dataclass(frozen=True)
class Members:
    """The two trained models of the ensemble."""

    trees: xgboost.Booster
    leaves: lightgbm.Booster

    @cached_property
    def compiled(self) -> tuple[bytes, bytes]:
        """Both in the form that is scored with, in the same order."""
        return compile_xgboost(self.trees), compile_lightgbm(self.leaves)

    def save(self, folder: Path) -> None:
        """Write the weights into `folder`, native and compiled."""
        self.trees.save_model(folder / XGBOOST_FILE)
        for file, compiled in zip((COMPILED_XGBOOST_FILE, COMPILED_LIGHTGBM_FILE), self.compiled, strict=True):
            (folder / file).write_bytes(compiled)
        self.leaves.save_model(folder / LIGHTGBM_FILE)


def under_sample(fraud: Flags, negatives_per_positive: int, seed: int) -> Sample:
    """Every fraud, and of the legitimate rows at most `negatives_per_positive` as many, drawn at random; 0 keeps all.

    >>> sample = under_sample(np.array([True] + [False] * 9), 3, seed=0)
    >>> len(sample.rows), round(sample.negatives_kept, 2)
    (4, 0.33)
    """
    frauds, others = np.flatnonzero(fraud), np.flatnonzero(~fraud)
    wanted = negatives_per_positive * len(frauds)
    if not negatives_per_positive or wanted >= len(others):
        return Sample(np.arange(len(fraud)), 1.0)
    drawn = np.random.default_rng(seed).choice(others, wanted, replace=False)
    return Sample(np.sort(np.concatenate([frauds, drawn])), wanted / len(others))


def fit(matrix: NDArray[np.float32], fraud: Flags, names: tuple[str, ...], *, seed: int, threads: int) -> Members:
    """Both members, trained on float32[n, inputs] and bool[n]; the same rows and seed give the same weights."""
    trees, rounds = _parameters(XGBOOST)
    leaves, steps = _parameters(LIGHTGBM)
    # Feature names are for whoever opens the files; scoring goes by place.
    booster = xgboost.train(
        {**trees, "seed": seed, "nthread": threads},
        xgboost.DMatrix(matrix, fraud, feature_names=list(names), nthread=threads),
        num_boost_round=rounds,
    )
    data = lightgbm.Dataset(matrix, fraud, feature_name=list(names), params={"verbosity": -1})
    fixed = {"seed": seed, "num_threads": threads, "deterministic": True, "force_row_wise": True, "verbosity": -1}
    return Members(booster, lightgbm.train({**leaves, **fixed}, data, num_boost_round=steps))


def _parameters(given: Mapping[str, float | int | str]) -> tuple[Parameters, int]:
    return {name: value for name, value in given.items() if name != "rounds"}, int(given["rounds"])
