"""A trained model as a run with everything about it and, if it is good enough, as a registered version."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

from lamina.evaluation.card import model_card
from lamina.evaluation.table import Table
from lamina.monitoring.drift.reference import REFERENCE_FILE
from lamina.registry.protocol import CARD_FILE, MODEL_FOLDER, ModelRegistry, TrainingRun
from lamina.scoring.trees_spec import ModelSpec
from lamina.training.chosen import Chosen
from lamina.training.recipe import Policies, Recipe
from lamina.training.train import TrainingPlan, train


def publish(
    recipe: Recipe,
    registry: ModelRegistry,
    table: Table,
    plan: TrainingPlan,
    min_auc: float,
    *,
    chosen: Chosen | None = None,
    policies: Policies | None = None,
) -> dict[str, object]:
    """Train, record the run, register a version when its AUC is at least `min_auc`, withdraw earlier ones of the day.

    Returns: run_id, version (None when it was not good enough), metrics and what the model was made from.
    """
    system = recipe.problem.system
    with tempfile.TemporaryDirectory(prefix="lamina-train-") as name:
        folder = Path(name)
        trained = train(recipe, table, plan, folder / "curves", chosen=chosen, policies=policies)
        trained.save(folder / MODEL_FOLDER)
        spec = trained.spec
        (folder / CARD_FILE).write_text(model_card(recipe.problem, spec, trained.slices), encoding="utf-8")
        (folder / REFERENCE_FILE).write_text(trained.reference.dump(), encoding="utf-8")
        tags = {"features": spec.fingerprint, "git_commit": spec.git_commit}
        if chosen is not None:
            tags |= {"search": chosen.study, "search_run": chosen.run_id}
        figures = spec.metrics | ({} if policies is None else policies.as_metrics(spec.money))
        run_id = registry.record(
            TrainingRun(system, plan.day, folder, parameters=_logged(plan, spec), metrics=figures, tags=tags)
        )
    registered = None
    if spec.metrics["auc"] >= min_auc:
        tags |= {"system": system, "logical_date": plan.day.isoformat(), "min_auc": f"{min_auc:g}"}
        registered = registry.register(system, run_id, tags).version
    superseded = registry.supersede(system, plan.day, by=run_id)
    return {
        "run_id": run_id,
        "version": registered,
        "superseded": superseded,
        "metrics": spec.metrics,
        "money": spec.money,
        "parameters_from": spec.parameters_from,
        "min_auc": min_auc,
        "rows": spec.rows.model_dump(),
        "split": spec.split.model_dump(mode="json"),
    }


def _logged(plan: TrainingPlan, spec: ModelSpec) -> dict[str, str | int | float]:
    """Everything a reader of MLflow's UI would want to compare runs by."""
    flat: dict[str, str | int | float] = {k: str(v) for k, v in asdict(plan).items()}
    flat |= {f"split.{k}": str(v) for k, v in spec.split.model_dump(mode="json").items()}
    flat |= {f"rows.{k}": v for k, v in spec.rows.model_dump().items()}
    flat |= {f"{member}.{k}": v for member, values in spec.parameters.items() for k, v in values.items()}
    flat |= {"ensemble.xgboost": spec.ensemble.xgboost, "ensemble.lightgbm": spec.ensemble.lightgbm}
    if spec.calibration is not None:
        flat |= {f"calibration.{k}": v for k, v in spec.calibration.model_dump().items()}
    flat["parameters_from"] = spec.parameters_from
    return flat | {"negatives_kept": spec.negatives_kept, "features": " ".join(spec.names)}
