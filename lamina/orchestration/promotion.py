"""Whether a newly trained model goes live, read from what `evaluate_model` wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from lamina.errors import LaminaError
from lamina.lake import layout

EVALUATION = "evaluation.json"


class NoEvaluation(LaminaError):
    """No evaluation, or one that does not say whether to promote."""


def evaluation_url(lake: str, system: str, day: date) -> str:
    """Where `evaluate_model` leaves its answer.

    >>> evaluation_url("lake", "fraud", date(2018, 8, 21))
    'lake/training/fraud/2018-08-21/evaluation.json'
    """
    return f"{layout.training(lake, system, day)}/{EVALUATION}"


def read_evaluation(lake: str, system: str, day: date) -> dict[str, Any]:
    """The evaluation of the model of `system` trained for `day`.

    Raises: NoEvaluation: when there is none.
    """
    import fsspec

    url = evaluation_url(lake, system, day)
    try:
        with fsspec.open(url, "r", encoding="utf-8") as file:
            evaluation: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        raise NoEvaluation(f"{url} is not there: clear evaluate_model of {day} to write it again") from None
    return evaluation


def is_promoted(evaluation: Mapping[str, Any]) -> bool:
    """Whether the evaluated model is to become the champion.

    >>> is_promoted({"promote": False, "reasons": ["auc 0.85 below 0.86"]})
    False

    Raises: NoEvaluation: when the evaluation does not say.
    """
    promote = evaluation.get("promote")
    if not isinstance(promote, bool):
        raise NoEvaluation(f"the evaluation does not say whether to promote; it holds {sorted(evaluation)}")
    return promote


def why(evaluation: Mapping[str, Any]) -> str:
    """The reasons in one text.

    >>> why({"promote": False, "reasons": ["auc 0.85 below 0.86", "parity not clean"]})
    'auc 0.85 below 0.86; parity not clean'
    """
    return "; ".join(evaluation.get("reasons", ())) or "no reason given"
