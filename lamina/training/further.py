"""A further version of a day beside that of the training: recorded, and registered where it is good enough."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lamina.evaluation.card import model_card
from lamina.evaluation.metrics import Floats
from lamina.evaluation.problem import Problem
from lamina.evaluation.slices import measure_slices
from lamina.evaluation.table import Table
from lamina.registry.protocol import CARD_FILE, ModelRegistry, TrainingRun, supersede_kind
from lamina.scoring.trained_spec import TrainedSpec


def record_further(
    problem: Problem,
    registry: ModelRegistry,
    spec: TrainedSpec,
    folder: Path,
    test: Table,
    scores: Floats,
    min_auc: float,
    *,
    kind: str,
    parameters: Mapping[str, str | int | float],
) -> tuple[str, str | None]:
    """Record the run in `folder`, with a card; register a version when its AUC is at least `min_auc`, in the place of
    earlier ones of its day and `kind`. Returns the run's id, and the version, None when it was not good enough.

    Args: test, scores: the rows that the figures of `spec` are of, and float64[n], what the model gave.
    """
    system, day = problem.system, spec.logical_date
    card = model_card(problem, spec, measure_slices(problem, test, scores))
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
    tags = {"features": spec.fingerprint, "git_commit": spec.git_commit, "kind": kind}
    run = TrainingRun(system, day, folder, parameters=dict(parameters), metrics=spec.metrics, tags=tags)
    run_id = registry.record(run)
    if spec.metrics["auc"] < min_auc:
        return run_id, None
    tags |= {"system": system, "logical_date": day.isoformat(), "min_auc": f"{min_auc:g}"}
    made = registry.register(system, run_id, tags)
    supersede_kind(registry, system, day, kind, by=made)
    return run_id, made.version
