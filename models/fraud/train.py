"""`python -m models.fraud.train --date D`: a model from the training set of a day, logged and, if good, registered."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import date as Day
from datetime import datetime
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from lamina.definitions.fraud import FEATURES
from lamina.errors import LaminaError
from lamina.registry.evaluation import Slice
from lamina.registry.protocol import MODEL_FOLDER, ModelRegistry, TrainingRun
from lamina.scoring.encode import Encoder, categories_of
from lamina.scoring.inputs import inputs_of
from lamina.settings import ROOT, load_settings
from models.fraud.calibrate import fit_calibration, held_out_scores
from models.fraud.card import CARD_FILE, model_card
from models.fraud.compiled import CompiledTrees
from models.fraud.fit import BASE_SCORE, LIGHTGBM, XGBOOST, Members, Sample, fit, under_sample
from models.fraud.metrics import measure
from models.fraud.plots import write_curves
from models.fraud.score import Scorer
from models.fraud.slices import measure_slices
from models.fraud.spec import Ensemble, ModelSpec, Rows
from models.fraud.table import Table, TrainingSetError, read_table, rows_to_learn, rows_to_test, split_days

SYSTEM = "fraud"
LIBRARIES = ("lightgbm", "numpy", "scikit-learn", "xgboost")


class SplitKind(StrEnum):
    """How training and test rows are told apart."""

    TIME = "time"
    RANDOM = "random"


@dataclass(frozen=True)
class Plan:
    """What to train. `negatives_per_positive` 0 uses every row; `calibrate` costs two thirds of three more fits."""

    day: Day
    train_days: int = 7
    delay_days: int = 7
    test_days: int = 7
    split: SplitKind = SplitKind.TIME
    negatives_per_positive: int = 10
    seed: int = 0
    threads: int = 1
    calibrate: bool = True


@dataclass(frozen=True)
class Trained:
    """A model that is ready to score, and the scored test behind its metrics."""

    members: Members
    spec: ModelSpec
    slices: tuple[Slice, ...] = ()

    def save(self, folder: Path) -> None:
        """Write weights and spec into `folder`, which is created."""
        folder.mkdir(parents=True, exist_ok=True)
        self.members.save(folder)
        self.spec.write(folder)


def train(table: Table, plan: Plan, curves: Path | None = None) -> Trained:
    """The model that `plan` describes, from the rows of `table`; writes the test's curves into the folder `curves`.

    Raises: TrainingSetError: when the training or the test days have no frauds, or nothing but frauds.
    """
    split = split_days(
        plan.day,
        train_days=plan.train_days,
        delay_days=plan.delay_days,
        test_days=plan.test_days,
        kind=plan.split.value,
    )
    learn, test = (table.take(choose(table, split, plan.seed)) for choose in (rows_to_learn, rows_to_test))
    _refuse_one_sided(learn, f"training days {split.train_first} to {split.train_last}", plan)
    _refuse_one_sided(test, f"test days {split.test_first} to {split.test_last}", plan)
    sample = under_sample(learn.fraud, plan.negatives_per_positive, plan.seed)
    used = learn.take(sample.rows)
    inputs = inputs_of(FEATURES, {name: categories_of(learn.inputs[name]) for name in _texts()})
    encoder = Encoder(inputs)
    names = tuple(i.name for i in inputs)
    members = fit(encoder.matrix(used.inputs, len(used)), used.fraud, names, seed=plan.seed, threads=plan.threads)
    calibration = None
    if plan.calibrate:
        matrix = encoder.matrix(learn.inputs, len(learn))
        settings = {"negatives_per_positive": plan.negatives_per_positive, "seed": plan.seed, "threads": plan.threads}
        calibration = fit_calibration(learn.fraud, held_out_scores(matrix, learn.fraud, learn.user, **settings))
    spec = ModelSpec(
        system=SYSTEM,
        logical_date=plan.day,
        inputs=inputs,
        ensemble=Ensemble(),
        negatives_kept=sample.negatives_kept,
        calibration=calibration,
        base_score=BASE_SCORE,
        split=split,
        rows=_counts(learn, test, sample),
        seed=plan.seed,
        parameters={"xgboost": XGBOOST, "lightgbm": LIGHTGBM},
        metrics={},
        git_commit=_commit(),
        libraries={name: version(name) for name in LIBRARIES},
    )
    compiled = (CompiledTrees(members.compiled[0]), CompiledTrees(members.compiled[1]))
    scores = Scorer(spec, members.trees, members.leaves, compiled).score(encoder.matrix(test.inputs, len(test)))
    if curves is not None:
        write_curves(curves, test.fraud, scores)
    spec = spec.model_copy(update={"metrics": measure(test.outcomes(scores))})
    return Trained(members, spec, measure_slices(test, scores))


def _texts() -> tuple[str, ...]:
    return tuple(name for name in FEATURES.model_features if name in FEATURES.categorical)


def _refuse_one_sided(table: Table, what: str, plan: Plan) -> None:
    if table.fraud.all() or not table.fraud.any():
        raise TrainingSetError(
            f"the {what} hold {len(table)} usable rows with {table.fraud.sum()} known frauds: both kinds are "
            f"needed. Extract these days for {plan.day}, or change --train-days, --delay-days and --test-days"
        )


def _counts(learn: Table, test: Table, sample: Sample) -> Rows:
    return Rows(
        train=len(learn),
        train_frauds=int(learn.fraud.sum()),
        used=len(sample.rows),
        test=len(test),
        test_frauds=int(test.fraud.sum()),
    )


def _commit() -> str:
    """The commit of the checkout, with `-dirty` when files differ from it; `unknown` outside one."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def publish(registry: ModelRegistry, table: Table, plan: Plan, min_auc: float) -> dict[str, object]:
    """Train, record the run, register a version when its AUC is at least `min_auc`, withdraw earlier ones of the day.

    Returns: run_id, version (None when it was not good enough), metrics and what the model was made from.
    """
    with tempfile.TemporaryDirectory(prefix="lamina-train-") as name:
        folder = Path(name)
        trained = train(table, plan, folder / "curves")
        trained.save(folder / MODEL_FOLDER)
        spec = trained.spec
        (folder / CARD_FILE).write_text(model_card(spec, trained.slices), encoding="utf-8")
        tags = {"features": spec.fingerprint, "git_commit": spec.git_commit}
        run_id = registry.record(
            TrainingRun(SYSTEM, plan.day, folder, parameters=_logged(plan, spec), metrics=spec.metrics, tags=tags)
        )
    registered = None
    if spec.metrics["auc"] >= min_auc:
        tags |= {"system": SYSTEM, "logical_date": plan.day.isoformat(), "min_auc": f"{min_auc:g}"}
        registered = registry.register(SYSTEM, run_id, tags).version
    superseded = registry.supersede(SYSTEM, plan.day, by=run_id)
    return {
        "run_id": run_id,
        "version": registered,
        "superseded": superseded,
        "metrics": spec.metrics,
        "min_auc": min_auc,
        "rows": spec.rows.model_dump(),
        "split": spec.split.model_dump(mode="json"),
    }


def _logged(plan: Plan, spec: ModelSpec) -> dict[str, str | int | float]:
    """Everything a reader of MLflow's UI would want to compare runs by."""
    flat: dict[str, str | int | float] = {k: str(v) for k, v in asdict(plan).items()}
    flat |= {f"split.{k}": str(v) for k, v in spec.split.model_dump(mode="json").items()}
    flat |= {f"rows.{k}": v for k, v in spec.rows.model_dump().items()}
    flat |= {f"{member}.{k}": v for member, values in spec.parameters.items() for k, v in values.items()}
    flat |= {"ensemble.xgboost": spec.ensemble.xgboost, "ensemble.lightgbm": spec.ensemble.lightgbm}
    if spec.calibration is not None:
        flat |= {f"calibration.{k}": v for k, v in spec.calibration.model_dump().items()}
    return flat | {"negatives_kept": spec.negatives_kept, "features": " ".join(spec.names)}


def main(
    date: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="The logical date: labels known by its end count.")
    ],
    lake_url: Annotated[str, typer.Option(help="Root of the lake; empty: from the settings.")] = "",
    train_days: Annotated[int, typer.Option(min=1, help="Days to train on.")] = 7,
    delay_days: Annotated[int, typer.Option(min=0, help="Days until a transaction's label is complete.")] = 7,
    test_days: Annotated[int, typer.Option(min=1, help="Days to test on.")] = 7,
    split: Annotated[
        SplitKind, typer.Option(help="By time, or drawn at random with equal shares of fraud.")
    ] = SplitKind.TIME,
    min_auc: Annotated[float, typer.Option(help="Register the model when its AUC is at least this.")] = 0.8,
    negatives_per_positive: Annotated[
        int, typer.Option(min=0, help="Legitimate rows to keep for each fraud in training; 0 keeps all.")
    ] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the sampling and of both learners.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads; one is enough for an under-sampled week.")] = 1,
    calibrate: Annotated[
        bool, typer.Option(help="Fit, on users held out, the line that makes scores mean what they say.")
    ] = True,
) -> None:
    """Train the fraud model of a day; prints one JSON line with run, version and metrics."""
    from lamina.registry.mlflow import MlflowRegistry

    settings = load_settings()
    plan = Plan(date.date(), train_days, delay_days, test_days, split, negatives_per_positive, seed, threads, calibrate)
    table = read_table(lake_url or settings.lake_url, SYSTEM, plan.day, FEATURES.model_features)
    sys.stdout.write(json.dumps(publish(MlflowRegistry(settings.mlflow_uri), table, plan, min_auc)) + "\n")


if __name__ == "__main__":
    try:
        typer.run(main)
    except LaminaError as problem:
        sys.exit(str(problem))
