"""How the fraud model is made."""

from __future__ import annotations

from lamina.training.recipe import Recipe
from models.fraud.parameters import LIGHTGBM, LIGHTGBM_SPACE, XGBOOST, XGBOOST_SPACE
from models.fraud.problem import PROBLEM
from models.fraud.savings import Policies

RECIPE = Recipe(
    problem=PROBLEM,
    parameters={"xgboost": XGBOOST, "lightgbm": LIGHTGBM},
    spaces={"xgboost": XGBOOST_SPACE, "lightgbm": LIGHTGBM_SPACE},
    policies=Policies.configured,
)
