"""Parameters of both members, and where a search looks for better ones.

The defaults were chosen on test weeks before 2018-08-08 of the fraud handbook; see docs/concepts/model.md.
"""

from __future__ import annotations

from lamina.training.fit import BASE_SCORE
from lamina.training.recipe import Parameters, SearchRange

MOST_BINS = 4095
"""Places at which a split may lie. Frauds live in the tails of amounts, of which 255 bins, the libraries' default, make
a few: on four weeks of the handbook that costs 0.008 of average precision and 0.014 of recall at 0.1 % false positives.
"""

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

XGBOOST_SPACE: dict[str, SearchRange] = {
    "max_depth": (2, 8, False, 6),
    "learning_rate": (0.02, 0.2, True, 0.3),
    "min_child_weight": (1.0, 40.0, True, 1.0),
    "subsample": (0.5, 1.0, False, 1.0),
    "colsample_bytree": (0.3, 1.0, False, 1.0),
    "reg_lambda": (0.1, 30.0, True, 1.0),
}
LIGHTGBM_SPACE: dict[str, SearchRange] = {
    "num_leaves": (4, 48, True, 31),
    "learning_rate": (0.02, 0.2, True, 0.1),
    "min_child_samples": (5, 150, True, 20),
    "feature_fraction": (0.3, 1.0, False, 1.0),
    "lambda_l2": (1e-3, 30.0, True, 1e-3),
}
