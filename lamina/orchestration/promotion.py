"""Whether a newly trained model goes live, from what evaluation and parity left in the lake."""

from __future__ import annotations

from datetime import date

from lamina.registry.evaluation import read_evaluation
from lamina.registry.gate import decide, latest_parity


def decision(lake: str, system: str, day: date) -> tuple[bool, str]:
    """Whether the model of `system` trained for `day` is to be deployed, and why.

    Raises: NoEvaluation: when the model was not evaluated. BrokenReport: when the parity report does not say.
    """
    deployed, reasons = decide(read_evaluation(lake, system, day), latest_parity(lake, system))
    return deployed, "; ".join(reasons) or "no reason was given"
