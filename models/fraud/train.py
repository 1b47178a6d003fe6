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

from lamina import entry
from lamina.clock import DAY_MS, midnight_ms, require_over
from lamina.definitions.fraud import FEATURES
from lamina.evaluation.card import CARD_FILE, model_card
from lamina.evaluation.metrics import Floats, measure
from lamina.evaluation.plots import write_curves
from lamina.evaluation.table import Table, read_table, refuse_one_sided, rows_to_learn, rows_to_test, split_days
from lamina.orchestration.days import DELAY_DAYS, TEST_DAYS, TRAIN_DAYS
from lamina.registry.evaluation import Slice
from lamina.registry.protocol import MODEL_FOLDER, ModelRegistry, TrainingRun
from lamina.scoring.checked import all_finite
from lamina.scoring.encode import Encoder, categories_of
from lamina.scoring.inputs import Input, inputs_of
from lamina.scoring.trees import CompiledTrees, TreesScorer
from lamina.scoring.trees_spec import DEFAULTS, Ensemble, ModelSpec, Rows, Split
from lamina.settings import ROOT, Settings, load_settings
from lamina.training.calibrate import fit_calibration, held_out_scores
from lamina.training.chosen import Chosen, last_chosen, write_chosen
from lamina.training.fit import BASE_SCORE, LIGHTGBM, XGBOOST, Members, Sample, fit, under_sample
from models.fraud.savings import Policies, as_metrics
from models.fraud.slices import measure_slices

SYSTEM = "fraud"
LIBRARIES = ("lightgbm", "numpy", "scikit-learn", "xgboost")


class SplitKind(StrEnum):
    """How training and test rows are told apart."""

    TIME = "time"
    RANDOM = "random"


class ParametersFrom(StrEnum):
    """Who chose the parameters of a training that does not search."""

    LAST_SEARCH = "last-search"
    DEFAULTS = "defaults"


@dataclass(frozen=True)
class Plan:
    """What to train. `negatives_per_positive` 0 uses every row; `calibrate` costs two thirds of three more fits;
    `blocked_days` as in `split_days`.
    """

    day: Day
    train_days: int = TRAIN_DAYS
    delay_days: int = DELAY_DAYS
    test_days: int = TEST_DAYS
    split: SplitKind = SplitKind.TIME
    negatives_per_positive: int = 50
    seed: int = 0
    threads: int = 1
    calibrate: bool = True
    blocked_days: int = 0

    @property
    def days(self) -> Split:
        """The days to train and to test on."""
        return split_days(
            self.day,
            train_days=self.train_days,
            delay_days=self.delay_days,
            test_days=self.test_days,
            kind=self.split.value,
            blocked_days=self.blocked_days,
        )


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


def train(
    table: Table,
    plan: Plan,
    curves: Path | None = None,
    *,
    chosen: Chosen | None = None,
    policies: Policies | None = None,
) -> Trained:
    """The model that `plan` describes, from the rows of `table`; writes the test's curves into the folder `curves`.

    Args: chosen: parameters of a search, else the recorded defaults; policies: to measure in money on the test days.
    Raises: TrainingSetError: when the training or the test days have no frauds, or nothing but frauds.
    """
    split = plan.days
    learn, test = (table.take(choose(table, split, plan.seed)) for choose in (rows_to_learn, rows_to_test))
    remedy = f"Extract these days for {plan.day}, or change --train-days, --delay-days and --test-days"
    refuse_one_sided(learn, f"training days {split.train_first} to {split.train_last}", remedy)
    refuse_one_sided(test, f"test days {split.test_first} to {split.test_last}", remedy)
    sample = under_sample(learn.fraud, plan.negatives_per_positive, plan.seed)
    used = learn.take(sample.rows)
    inputs = learnt_inputs(learn)
    encoder = Encoder(inputs)
    names = tuple(i.name for i in inputs)
    parameters = {"xgboost": XGBOOST, "lightgbm": LIGHTGBM} if chosen is None else dict(chosen.by_member)
    own = {"seed": plan.seed, "threads": plan.threads}
    members = fit(
        encoder.matrix(used.inputs, len(used)),
        used.fraud,
        names,
        **own,
        weight=_unequal(used.weight),
        parameters=parameters,
    )
    calibration = None
    if plan.calibrate:
        weight = _unequal(learn.weight)
        apart = held_out_scores(
            encoder.matrix(learn.inputs, len(learn)),
            learn.fraud,
            learn.user,
            negatives_per_positive=plan.negatives_per_positive,
            **own,
            weight=weight,
            parameters=parameters,
        )
        calibration = fit_calibration(learn.fraud, apart, weight)
    spec = ModelSpec(
        system=SYSTEM,
        logical_date=plan.day,
        inputs=inputs,
        ensemble=Ensemble(),
        negatives_kept=sample.negatives_kept,
        calibration=calibration,
        base_score=BASE_SCORE,
        split=split,
        rows=_counts(table, split, learn, test, sample),
        seed=plan.seed,
        parameters=parameters,
        parameters_from=DEFAULTS if chosen is None else chosen.source,
        metrics={},
        git_commit=_commit(),
        libraries={name: version(name) for name in LIBRARIES},
    )
    scores = all_finite(scorer_of(spec, members).score(encoder.matrix(test.inputs, len(test))), len(test))
    if curves is not None:
        write_curves(curves, test.fraud, scores)
    money = {} if policies is None else policies.measure(test, scores, calibrated=calibration is not None)
    spec = spec.model_copy(update={"metrics": measure(test.outcomes(scores)), "money": money})
    return Trained(members, spec, measure_slices(test, scores))


def learnt_inputs(rows: Table) -> tuple[Input, ...]:
    """The model's inputs, with the categories that `rows` hold."""
    texts = (name for name in FEATURES.model_features if name in FEATURES.categorical)
    return inputs_of(FEATURES, {name: categories_of(rows.inputs[name]) for name in texts})


def scorer_of(spec: ModelSpec, members: Members) -> TreesScorer:
    """What scores as the model that these members make, once it is loaded, does."""
    return TreesScorer(
        spec, members.trees, members.leaves, (CompiledTrees(members.compiled[0]), CompiledTrees(members.compiled[1]))
    )


def _unequal(weight: Floats) -> Floats | None:
    """None where every row counts once, as it does where nothing was let through."""
    return None if (weight == 1.0).all() else weight


def _counts(table: Table, split: Split, learn: Table, test: Table, sample: Sample) -> Rows:
    first, last = (midnight_ms(day) // DAY_MS for day in (split.train_first, split.train_last))
    waited = learn.waited[learn.fraud]
    return Rows(
        unknown=int(((table.day >= first) & (table.day <= last) & (table.weight == 0)).sum()),
        let_through=int((learn.weight > 1).sum()),
        labels_late=float((waited > split.delay_days).mean()),
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


def publish(
    registry: ModelRegistry,
    table: Table,
    plan: Plan,
    min_auc: float,
    *,
    chosen: Chosen | None = None,
    policies: Policies | None = None,
) -> dict[str, object]:
    """Train, record the run, register a version when its AUC is at least `min_auc`, withdraw earlier ones of the day.

    Returns: run_id, version (None when it was not good enough), metrics and what the model was made from.
    """
    with tempfile.TemporaryDirectory(prefix="lamina-train-") as name:
        folder = Path(name)
        trained = train(table, plan, folder / "curves", chosen=chosen, policies=policies)
        trained.save(folder / MODEL_FOLDER)
        spec = trained.spec
        (folder / CARD_FILE).write_text(model_card(spec, trained.slices), encoding="utf-8")
        tags = {"features": spec.fingerprint, "git_commit": spec.git_commit}
        if chosen is not None:
            tags |= {"search": chosen.study, "search_run": chosen.run_id}
        figures = spec.metrics | as_metrics(spec.money)
        run_id = registry.record(
            TrainingRun(SYSTEM, plan.day, folder, parameters=_logged(plan, spec), metrics=figures, tags=tags)
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
        "money": spec.money,
        "parameters_from": spec.parameters_from,
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
    flat["parameters_from"] = spec.parameters_from
    return flat | {"negatives_kept": spec.negatives_kept, "features": " ".join(spec.names)}


def main(
    date: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="The logical date: labels known by its end count.")
    ],
    lake_url: Annotated[str, typer.Option(help="Root of the lake; empty: from the settings.")] = "",
    train_days: Annotated[int, typer.Option(min=1, help="Days to train on.")] = Plan.train_days,
    delay_days: Annotated[
        int, typer.Option(min=0, help="Days until a transaction's label is complete.")
    ] = Plan.delay_days,
    test_days: Annotated[int, typer.Option(min=1, help="Days to test on.")] = Plan.test_days,
    split: Annotated[
        SplitKind, typer.Option(help="By time, or drawn at random with equal shares of fraud.")
    ] = Plan.split,
    min_auc: Annotated[float, typer.Option(help="Register the model when its AUC is at least this.")] = 0.8,
    negatives_per_positive: Annotated[
        int, typer.Option(min=0, help="Legitimate rows to keep for each fraud in training; 0 keeps all.")
    ] = Plan.negatives_per_positive,
    seed: Annotated[int, typer.Option(help="Seed of the sampling and of both learners.")] = Plan.seed,
    threads: Annotated[int, typer.Option(min=1, help="Threads; one is enough for under-sampled weeks.")] = Plan.threads,
    calibrate: Annotated[
        bool, typer.Option(help="Fit, on users held out, the line that makes scores mean what they say.")
    ] = Plan.calibrate,
    search: Annotated[
        int, typer.Option(min=0, help="Trials to search parameters with, those of an interrupted search counted.")
    ] = 0,
    valid_days: Annotated[int, typer.Option(min=1, help="Last training days, which the search chooses on.")] = 3,
    parameters: Annotated[
        ParametersFrom, typer.Option(help="Without a search: those that the last one chose, or the recorded defaults.")
    ] = ParametersFrom.LAST_SEARCH,
) -> None:
    """Train the fraud model of a day; prints one JSON line with run, version and metrics."""
    from lamina.registry.mlflow import MlflowRegistry

    settings = load_settings()
    lake = lake_url or settings.lake_url
    day = require_over(date.date(), settings.clock)
    plan = Plan(day, train_days, delay_days, test_days, split, negatives_per_positive, seed, threads, calibrate)
    table = read_table(lake, SYSTEM, plan.day, FEATURES.names)
    chosen = None
    if search:
        chosen = _search(settings, table, plan, search, valid_days)
        write_chosen(lake, chosen)
    elif parameters is ParametersFrom.LAST_SEARCH:
        chosen = last_chosen(lake, SYSTEM, plan.day)
    policies = Policies.of(settings.rules_file, lake, SYSTEM, plan.day) if settings.rules_file.exists() else None
    registry = MlflowRegistry(settings.mlflow_uri)
    said = publish(registry, table, plan, min_auc, chosen=chosen, policies=policies)
    sys.stdout.write(json.dumps(said) + "\n")


def _search(settings: Settings, table: Table, plan: Plan, trials: int, valid_days: int) -> Chosen:
    """Search, with a bar where somebody looks on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from lamina.registry.searches import MlflowSearchLog
    from lamina.training.search import SearchPlan, parts, search

    wanted = SearchPlan(trials, valid_days, plan.negatives_per_positive, plan.seed, plan.threads)
    split = plan.days
    found = parts(table, split, learnt_inputs(table.take(rows_to_learn(table, split, plan.seed))), wanted)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("searching", total=trials)

        def told(done: int, of: int, best: float) -> None:
            bar.update(task, completed=done, total=of, description=f"best average precision {best:.4f}")

        log = MlflowSearchLog(settings.mlflow_uri)
        chosen = search(found, wanted, log, settings.stack_dir / "searches", SYSTEM, plan.day, told)
    console.print(f"parameters by {chosen.source}", soft_wrap=True)
    return chosen


if __name__ == "__main__":
    entry.run(lambda: typer.run(main))
