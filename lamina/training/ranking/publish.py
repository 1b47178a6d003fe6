"""A ranker of a day as a run with everything about it and, if it is good enough, as a registered version."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lamina.contracts.features import FeatureSet
from lamina.evaluation.scores import scores_of
from lamina.evaluation.table import Table, rows_to_test
from lamina.registry.protocol import MODEL_FOLDER, Kind, ModelRegistry
from lamina.scoring.trained import TrainedScorer
from lamina.training.further import Grounds, record_further
from lamina.training.ranking.make import prepare, train_ranker
from lamina.training.ranking.recipe import RankingPlan, RankingRecipe


def publish_ranker(
    recipe: RankingRecipe,
    registry: ModelRegistry,
    table: Table,
    plan: RankingPlan,
    min_auc: float,
    load: Callable[[Path, FeatureSet], TrainedScorer],
) -> dict[str, object]:
    """Train, record the run, and register a version when its AUC is at least `min_auc`, in the place of earlier rankers
    of the day.

    Args: load: that of the system, in `models/<system>/score.py`, by which versions are served.
    Returns: run_id, version (None when it was not good enough), metrics and rows.
    Raises: as `prepare` and `train_ranker`; ModelUnavailable: it could not be served. Nothing is recorded then.
    """
    prepared, problem, seed = prepare(recipe, table, plan), recipe.problem, recipe.settings.seed
    with tempfile.TemporaryDirectory(prefix="lamina-ranker-") as name:
        folder = Path(name)
        spec = train_ranker(prepared, folder / MODEL_FOLDER)
        scorer = load(folder / MODEL_FOLDER, problem.features)
        # In use it scores units, too, that leave the test once they are known.
        served = table.take(rows_to_test(table, spec.split, seed, known_leave=False))
        weights = {f"weights.{head}": weight for head, weight in recipe.weights.weights.items()}
        run_id, version = record_further(
            problem,
            registry,
            spec,
            folder,
            Grounds(prepared.learn, prepared.test, served, partial(scores_of, scorer)),
            min_auc,
            kind=Kind.RANKER,
            parameters={**spec.parameters, **weights, "weights.version": recipe.weights.version},
        )
    return {"run_id": run_id, "version": version, "metrics": spec.metrics, "rows": spec.rows.model_dump()}
