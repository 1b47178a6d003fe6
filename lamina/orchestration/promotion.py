"""Whether a newly trained model goes live, from what evaluation and parity left in the lake."""

from __future__ import annotations

from datetime import date

from lamina.registry.evaluation import read_evaluation
from lamina.registry.gate import ENOUGH, Enough, decide, latest_parity, may_be_tried
from lamina.registry.protocol import Kind


def decision(lake: str, system: str, day: date, enough: Enough = ENOUGH) -> tuple[bool, str]:
    """Whether the model of `system` trained for `day` is to be deployed, and why.

    Raises: NoEvaluation: when the model was not evaluated. BrokenReport: when the parity report does not say.
    """
    deployed, reasons = decide(read_evaluation(lake, system, day), latest_parity(lake, system), enough)
    return deployed, "; ".join(reasons) or "no reason was given"


def keep(
    lake: str, mlflow_uri: str, system: str, day: date, enough: Enough = ENOUGH, kind: Kind = Kind.TRAINING
) -> str:
    """Leave the champion where it is, and why; the version of `day` becomes the challenger of its `kind` if it may be
    tried.

    Raises: NoEvaluation, BrokenReport: see `decision`. RegistryError: when the registry does not answer.
    """
    evaluation, parity = read_evaluation(lake, system, day, kind), latest_parity(lake, system)
    _, reasons = decide(evaluation, parity, enough)
    if evaluation.candidate is not None and may_be_tried(evaluation, parity):
        from lamina.registry.deploy import challenge, moved
        from lamina.registry.mlflow import MlflowRegistry

        registry = MlflowRegistry(mlflow_uri)
        if (gone := moved(registry, evaluation)) is not None:
            reasons = (*reasons, gone)
        else:
            challenge(registry, system, evaluation.candidate.version, kind.alias)
            reasons = (*reasons, f"version {evaluation.candidate.version} is the {kind.alias} now")
    return "; ".join(reasons) or "no reason was given"
