"""A further version of a day beside that of the training: recorded, and registered where it is good enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lamina.evaluation.card import model_card
from lamina.evaluation.metrics import Floats
from lamina.evaluation.problem import Problem
from lamina.evaluation.slices import measure_slices
from lamina.evaluation.table import Table
from lamina.monitoring.drift.reference import REFERENCE_FILE
from lamina.registry.protocol import CARD_FILE, KIND, Kind, ModelRegistry, TrainingRun, supersede_kind
from lamina.scoring.trained_spec import TrainedSpec
from lamina.training.reference import reference_of


@dataclass(frozen=True)
class Grounds:
    """The rows that a version is made of, those of its test, and those of the test days that units known by then have
    not left: it will answer these, too. `score` gives its scores of rows, float64[n].
    """

    learnt: Table
    test: Table
    served: Table
    score: Callable[[Table], Floats]


def record_further(
    problem: Problem,
    registry: ModelRegistry,
    spec: TrainedSpec,
    folder: Path,
    grounds: Grounds,
    min_auc: float,
    *,
    kind: Kind,
    parameters: Mapping[str, str | int | float],
) -> tuple[str, str | None]:
    """Record the run in `folder`, with a card and what drift is measured against; register a version when its AUC is at
    least `min_auc`. In either case it takes the place of earlier ones of its day and `kind`.

    Returns: the run's id, and the version, None when it was not good enough.
    """
    system, day = problem.system, spec.logical_date
    card = model_card(problem, spec, measure_slices(problem, grounds.test, grounds.score(grounds.test)))
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
    reference = reference_of(grounds.learnt, grounds.served, grounds.score(grounds.served), spec.names)
    (folder / REFERENCE_FILE).write_text(reference.dump(), encoding="utf-8")
    tags = {"features": spec.fingerprint, "git_commit": spec.git_commit, KIND: kind}
    run = TrainingRun(system, day, folder, parameters=dict(parameters), metrics=spec.metrics, tags=tags)
    run_id = registry.record(run)
    version = None
    if spec.metrics["auc"] >= min_auc:
        tags |= {"system": system, "logical_date": day.isoformat(), "min_auc": f"{min_auc:g}"}
        version = registry.register(system, run_id, tags).version
    supersede_kind(registry, system, day, kind, by=run_id)
    return run_id, version
