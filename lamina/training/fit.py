"""Trees from rows: under-sampling, then XGBoost and LightGBM by their own interfaces.

The parameters were chosen on test weeks before 2018-08-08 of the fraud handbook; see docs/concepts/model.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import xgboost
from numpy.typing import NDArray

from lamina.evaluation.metrics import Flags, Floats, Ints
from lamina.scoring.compile_trees import compile_lightgbm, compile_xgboost
from lamina.scoring.trees_spec import COMPILED_LIGHTGBM_FILE, COMPILED_XGBOOST_FILE, LIGHTGBM_FILE, XGBOOST_FILE

BASE_SCORE = 0.5
"""XGBoost's first guess. Fitted to rare labels, which is its default, it costs average precision."""

MOST_BINS = 4095
"""Places at which a split may lie. Frauds live in the tails of amounts, of which 255 bins, the libraries' default, make
a few: on four weeks of the handbook that costs 0.008 of average precision and 0.014 of recall at 0.1 % false positives.
"""

Parameters = dict[str, float | int | str]

XGBOOST: Parameters = {
    "objective": "binary:logistic",
    "base_score": BASE_SCORE,
    "tree_method": "hist",
    "max_bin": MOST_BINS,
    "max_depth": 3,
    "learning_rate": 0.05,
    "min_child_weight": 5,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "rounds": 200,
}
LIGHTGBM: Parameters = {
    "objective": "binary",
    "max_bin": MOST_BINS,
    "min_data_in_bin": 1,
    "num_leaves": 8,
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


@dataclass(frozen=True)
class Rows:
    """Encoded rows to learn from or to watch: float32[n, inputs], bool[n], and for how many each counts, float64[n]."""

    matrix: NDArray[np.float32]
    fraud: Flags
    weight: Floats | None = None


@dataclass(frozen=True)
class Watch:
    """Rows that are never learnt from: boosting ends once `patience` rounds brought no better average precision there.

    `callbacks` are those of XGBoost, told of each round.
    """

    rows: Rows
    patience: int
    callbacks: Sequence[Any] = ()


def fit(
    matrix: NDArray[np.float32],
    fraud: Flags,
    names: tuple[str, ...],
    *,
    seed: int,
    threads: int,
    weight: Floats | None = None,
    parameters: Mapping[str, Parameters] | None = None,
) -> Members:
    """Both members, trained on float32[n, inputs] and bool[n]; the same rows and seed give the same weights.

    Args: weight: float64[n], for how many each row counts; parameters: of `xgboost` and `lightgbm`, the defaults above.
    """
    rows, given = Rows(matrix, fraud, weight), {"xgboost": XGBOOST, "lightgbm": LIGHTGBM} | dict(parameters or {})
    return Members(
        fit_trees(rows, names, given["xgboost"], seed=seed, threads=threads),
        fit_leaves(rows, names, given["lightgbm"], seed=seed, threads=threads),
    )


def fit_trees(
    rows: Rows, names: tuple[str, ...], parameters: Parameters, *, seed: int, threads: int, watch: Watch | None = None
) -> xgboost.Booster:
    """The member of XGBoost; with a `watch`, its `best_iteration` says which round to end with."""
    given, rounds = _parameters(parameters)
    given |= {"seed": seed, "nthread": threads}

    def data(of: Rows) -> xgboost.DMatrix:
        # Feature names are for whoever opens the files; scoring goes by place.
        return xgboost.DMatrix(of.matrix, of.fraud, weight=of.weight, feature_names=list(names), nthread=threads)

    if watch is None:
        return xgboost.train(given, data(rows), num_boost_round=rounds)
    return xgboost.train(
        given | {"eval_metric": "aucpr"},
        data(rows),
        num_boost_round=rounds,
        evals=[(data(watch.rows), "watched")],
        early_stopping_rounds=watch.patience,
        callbacks=list(watch.callbacks),
        verbose_eval=False,
    )


def fit_leaves(
    rows: Rows, names: tuple[str, ...], parameters: Parameters, *, seed: int, threads: int, watch: Watch | None = None
) -> lightgbm.Booster:
    """The member of LightGBM; with a `watch`, its `best_iteration` says how many rounds to keep."""
    given, rounds = _parameters(parameters)
    given |= {"seed": seed, "num_threads": threads, "deterministic": True, "force_row_wise": True, "verbosity": -1}
    data = lightgbm.Dataset(
        rows.matrix, rows.fraud, weight=rows.weight, feature_name=list(names), params={"verbosity": -1}
    )
    if watch is None:
        return lightgbm.train(given, data, num_boost_round=rounds)
    watched = data.create_valid(watch.rows.matrix, watch.rows.fraud, weight=watch.rows.weight)
    return lightgbm.train(
        given | {"metric": "average_precision"},
        data,
        num_boost_round=rounds,
        valid_sets=[watched],
        callbacks=[lightgbm.early_stopping(watch.patience, verbose=False)],
    )


def _parameters(given: Mapping[str, float | int | str]) -> tuple[Parameters, int]:
    return {name: value for name, value in given.items() if name != "rounds"}, int(given["rounds"])
