"""How the fraud model is made."""

from __future__ import annotations

from lamina.training.recipe import Recipe
from models.fraud.parameters import LIGHTGBM, XGBOOST
from models.fraud.problem import PROBLEM
from models.fraud.savings import Policies

RECIPE = Recipe(
    problem=PROBLEM,
    parameters={"xgboost": XGBOOST, "lightgbm": LIGHTGBM},
    policies=Policies.configured,
)
