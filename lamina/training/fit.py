"""Trees from rows: under-sampling, then XGBoost and LightGBM by their own interfaces."""

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
from lamina.training.recipe import Parameters

BASE_SCORE = 0.5
"""XGBoost's first guess. Fitted to rare labels, which is its default, it costs average precision."""


@dataclass(frozen=True)
class Sample:
    """Places of the rows to learn from, ascending, and the share of the negative ones among them."""

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


def under_sample(positive: Flags, negatives_per_positive: int, seed: int) -> Sample:
    """Every positive row, and of the others at most `negatives_per_positive` as many, drawn at random; 0 keeps all.

    >>> sample = under_sample(np.array([True] + [False] * 9), 3, seed=0)
    >>> len(sample.rows), round(sample.negatives_kept, 2)
    (4, 0.33)
    """
    positives, others = np.flatnonzero(positive), np.flatnonzero(~positive)
    wanted = negatives_per_positive * len(positives)
    if not negatives_per_positive or wanted >= len(others):
        return Sample(np.arange(len(positive)), 1.0)
    drawn = np.random.default_rng(seed).choice(others, wanted, replace=False)
    return Sample(np.sort(np.concatenate([positives, drawn])), wanted / len(others))


@dataclass(frozen=True)
class Rows:
    """Encoded rows to learn from or to watch: float32[n, inputs], bool[n], and for how many each counts, float64[n]."""

    matrix: NDArray[np.float32]
    positive: Flags
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
    positive: Flags,
    names: tuple[str, ...],
    *,
    seed: int,
    threads: int,
    weight: Floats | None = None,
    parameters: Mapping[str, Parameters],
) -> Members:
    """Both members, trained on float32[n, inputs] and bool[n]; the same rows and seed give the same weights.

    Args: weight: float64[n], for how many each row counts; parameters: of `xgboost` and of `lightgbm`.
    """
    rows = Rows(matrix, positive, weight)
    return Members(
        fit_trees(rows, names, parameters["xgboost"], seed=seed, threads=threads),
        fit_leaves(rows, names, parameters["lightgbm"], seed=seed, threads=threads),
    )


def fit_trees(
    rows: Rows, names: tuple[str, ...], parameters: Parameters, *, seed: int, threads: int, watch: Watch | None = None
) -> xgboost.Booster:
    """The member of XGBoost; with a `watch`, its `best_iteration` says which round to end with."""
    given, rounds = _parameters(parameters)
    given |= {"seed": seed, "nthread": threads}

    def data(of: Rows) -> xgboost.DMatrix:
        # Feature names are for whoever opens the files; scoring goes by place.
        return xgboost.DMatrix(of.matrix, of.positive, weight=of.weight, feature_names=list(names), nthread=threads)

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
        rows.matrix, rows.positive, weight=rows.weight, feature_name=list(names), params={"verbosity": -1}
    )
    if watch is None:
        return lightgbm.train(given, data, num_boost_round=rounds)
    watched = data.create_valid(watch.rows.matrix, watch.rows.positive, weight=watch.rows.weight)
    return lightgbm.train(
        given | {"metric": "average_precision"},
        data,
        num_boost_round=rounds,
        valid_sets=[watched],
        callbacks=[lightgbm.early_stopping(watch.patience, verbose=False)],
    )


def _parameters(given: Mapping[str, float | int | str]) -> tuple[Parameters, int]:
    return {name: value for name, value in given.items() if name != "rounds"}, int(given["rounds"])
