"""Whether a newly trained model goes live, from what evaluation and parity left in the lake."""

from __future__ import annotations

from datetime import date

from lamina.registry.evaluation import mismatches_of_latest_parity, read_evaluation


def decision(lake: str, system: str, day: date) -> tuple[bool, str]:
    """Whether the model of `system` trained for `day` is to be deployed, and why.

    It must have been found better than the champion, and the latest parity report must be clean.

    Raises: NoEvaluation: when the model was not evaluated. BrokenReport: when the parity report does not say.
    """
    evaluation, mismatches = read_evaluation(lake, system, day), mismatches_of_latest_parity(lake, system)
    reasons = list(evaluation.reasons)
    if mismatches:
        reasons.append(f"the latest parity report of {system} has {mismatches} mismatches")
    return evaluation.promote and not mismatches, "; ".join(reasons) or "no reason was given"
