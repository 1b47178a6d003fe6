"""How the activity model is made: small trees, since a shop has few purchases of many views."""

from __future__ import annotations

from lamina.training.fit import BASE_SCORE
from lamina.training.recipe import Parameters, Recipe
from models.activity.problem import PROBLEM

XGBOOST: Parameters = {
    "objective": "binary:logistic",
    "base_score": BASE_SCORE,
    "tree_method": "hist",
    "max_depth": 4,
    "learning_rate": 0.05,
    "min_child_weight": 5,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "rounds": 150,
}
LIGHTGBM: Parameters = {
    "objective": "binary",
    "num_leaves": 12,
    "learning_rate": 0.05,
    "min_child_samples": 50,
    "rounds": 150,
}

RECIPE = Recipe(problem=PROBLEM, parameters={"xgboost": XGBOOST, "lightgbm": LIGHTGBM})
