"""Whether a newly trained model goes live, from what evaluation and parity left in the lake."""

from __future__ import annotations

from datetime import date

from lamina.registry.evaluation import read_evaluation
from lamina.registry.gate import decide, latest_parity, may_challenge


def decision(lake: str, system: str, day: date) -> tuple[bool, str]:
    """Whether the model of `system` trained for `day` is to be deployed, and why.

    Raises: NoEvaluation: when the model was not evaluated. BrokenReport: when the parity report does not say.
    """
    deployed, reasons = decide(read_evaluation(lake, system, day), latest_parity(lake, system))
    return deployed, "; ".join(reasons) or "no reason was given"


def keep(lake: str, mlflow_uri: str, system: str, day: date) -> str:
    """Leave the champion where it is, and why; the version of `day` becomes the challenger if it may be tried.

    Raises: NoEvaluation, BrokenReport: see `decision`. RegistryError: when the registry does not answer.
    """
    evaluation, parity = read_evaluation(lake, system, day), latest_parity(lake, system)
    _, reasons = decide(evaluation, parity)
    if evaluation.candidate is not None and may_challenge(evaluation, parity):
        from lamina.registry.deploy import challenge
        from lamina.registry.mlflow import MlflowRegistry

        challenge(MlflowRegistry(mlflow_uri), system, evaluation.candidate.version)
        reasons = (*reasons, f"version {evaluation.candidate.version} is the challenger now")
    return "; ".join(reasons) or "no reason was given"
