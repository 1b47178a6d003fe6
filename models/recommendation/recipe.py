"""How the recommendation model is made: small trees, whose best inputs compare a viewer with a video."""

from __future__ import annotations

from lamina.training.fit import BASE_SCORE
from lamina.training.recipe import Parameters, Recipe
from models.recommendation.problem import PROBLEM

XGBOOST: Parameters = {
    "objective": "binary:logistic",
    "base_score": BASE_SCORE,
    "tree_method": "hist",
    "max_depth": 5,
    "learning_rate": 0.06,
    "min_child_weight": 10,
    "subsample": 0.8,
    "colsample_bytree": 0.7,
    "rounds": 150,
}
LIGHTGBM: Parameters = {
    "objective": "binary",
    "num_leaves": 20,
    "learning_rate": 0.06,
    "min_child_samples": 60,
    "rounds": 150,
}

RECIPE = Recipe(problem=PROBLEM, parameters={"xgboost": XGBOOST, "lightgbm": LIGHTGBM})
