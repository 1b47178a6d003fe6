"""A fraud model of the real kind, trained in a second on drawn features: large amounts to risky merchants are fraud."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import lightgbm
import numpy as np
import xgboost

from lamina.definitions.fraud import FEATURES
from lamina.registry.protocol import CHAMPION, ModelRegistry, TrainingRun
from lamina.scoring.encode import Encoder
from lamina.scoring.inputs import inputs_of
from lamina.scoring.trained_spec import Rows, Split
from lamina.scoring.trees_spec import Ensemble, ModelSpec
from lamina.training.fit import Members

CATEGORIES = {
    "merchant_category": ("grocery", "restaurant", "electronics", "travel"),
    "device_type": ("terminal", "mobile", "desktop"),
}
ROWS = 4000
DAY = date(2025, 1, 1)


def train_small_model(folder: Path, *, trees: int = 40, seed: int = 7) -> Path:
    """`folder`, with weights and spec in it."""
    rng = np.random.default_rng(seed)
    inputs = inputs_of(FEATURES, CATEGORIES)
    columns = {i.name: rng.gamma(2.0, 50.0, ROWS) for i in inputs if i.categories is None}
    for name, values in CATEGORIES.items():
        columns[name] = rng.choice(np.array(values, dtype=object), ROWS)
    columns["merchant_fraud_risk_7d"] = rng.beta(0.2, 8, ROWS)
    log_odds = 0.02 * (columns["amount"] - 250) + 20 * (columns["merchant_fraud_risk_7d"] - 0.2)
    frauds = (rng.random(ROWS) < 1 / (1 + np.exp(-log_odds))).astype(np.int32)
    matrix = Encoder(inputs).matrix(columns, ROWS)
    parameters = {"max_depth": 3, "eta": 0.3, "base_score": 0.5, "nthread": 1, "objective": "binary:logistic"}
    booster = xgboost.train(parameters, xgboost.DMatrix(matrix, frauds), num_boost_round=trees)
    leaves = lightgbm.train(
        {"objective": "binary", "num_leaves": 8, "num_threads": 1, "verbose": -1, "seed": seed},
        lightgbm.Dataset(matrix, frauds),
        num_boost_round=trees,
    )
    spec = ModelSpec(
        system="fraud",
        logical_date=DAY,
        inputs=inputs,
        ensemble=Ensemble(),
        negatives_kept=1.0,
        split=Split(kind="time", train_first=DAY, train_last=DAY, delay_days=7, test_first=DAY, test_last=DAY),
        rows=Rows(train=ROWS, train_positives=int(frauds.sum()), used=ROWS, test=0, test_positives=0),
        seed=seed,
        parameters={"xgboost": {k: v for k, v in parameters.items() if isinstance(v, int | float | str)}},
        metrics={},
        git_commit="none",
        libraries={},
    )
    folder.mkdir(parents=True, exist_ok=True)
    Members(booster, leaves).save(folder)
    spec.write(folder)
    return folder


def promote(registry: ModelRegistry, folder: Path) -> str:
    """Register the files under `folder`/model and make them the champion; returns the version."""
    run = registry.record(TrainingRun(FEATURES.system, DAY, folder))
    version = registry.register(FEATURES.system, run, {}).version
    registry.set_alias(FEATURES.system, CHAMPION, version)
    return version
