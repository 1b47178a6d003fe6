"""How the model of a system is made: what `models/<system>` gives, and training, search and publishing do the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from lamina.evaluation.metrics import Floats
from lamina.evaluation.problem import Problem
from lamina.evaluation.table import Table
from lamina.settings import Settings

Parameters = dict[str, float | int | str]
"""Of one member of the ensemble, by the names its library gives them; `rounds` is how many trees it has."""

SearchRange = tuple[float, float, bool, float]
"""Lowest, highest, whether on a logarithmic scale, and what the library takes where nothing is said. A whole number as
the lowest makes whole numbers."""

SPACES: Mapping[str, Mapping[str, SearchRange]] = {
    "xgboost": {
        "max_depth": (2, 8, False, 6),
        "learning_rate": (0.02, 0.2, True, 0.3),
        "min_child_weight": (1.0, 40.0, True, 1.0),
        "subsample": (0.5, 1.0, False, 1.0),
        "colsample_bytree": (0.3, 1.0, False, 1.0),
        "reg_lambda": (0.1, 30.0, True, 1.0),
    },
    "lightgbm": {
        "num_leaves": (4, 48, True, 31),
        "learning_rate": (0.02, 0.2, True, 0.1),
        "min_child_samples": (5, 150, True, 20),
        "feature_fraction": (0.3, 1.0, False, 1.0),
        "lambda_l2": (1e-3, 30.0, True, 1e-3),
    },
}
"""Where a search looks, of each member."""


class Policies(Protocol):
    """What actions by the scores would have been worth on the test days."""

    def measure(self, rows: Table, scores: Floats, *, calibrated: bool) -> dict[str, dict[str, float]]:
        """Figures by policy, for the spec and the card; scores are float64[n], probabilities where `calibrated`."""

    def as_metrics(self, money: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """Those figures that runs are compared by, by the names they are logged under."""


def _no_policies(settings: Settings, lake: str, day: date) -> Policies | None:
    return None


@dataclass(frozen=True)
class Recipe:
    """An ensemble of XGBoost and LightGBM for a problem.

    parameters: the recorded defaults of `xgboost` and of `lightgbm`. spaces: where a search looks for better ones.
    policies: what actions are measured by in the training of a day, given the lake's URL; None where that is not known.
    """

    problem: Problem
    parameters: Mapping[str, Parameters]
    spaces: Mapping[str, Mapping[str, SearchRange]] = field(default_factory=lambda: SPACES)
    policies: Callable[[Settings, str, date], Policies | None] = _no_policies

    @property
    def members(self) -> dict[str, tuple[Parameters, Mapping[str, SearchRange]]]:
        """Defaults and search space of each member."""
        return {name: (given, self.spaces[name]) for name, given in self.parameters.items()}
