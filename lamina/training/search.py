"""A search for parameters: fitted on the earlier training days, chosen on the later ones, never on a test day.

Optuna keeps the study in a file under the stack's folder, so a search that was killed goes on from its finished trials.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost
from sklearn.metrics import average_precision_score, roc_auc_score

from lamina.clock import DAY_MS, midnight_ms
from lamina.errors import LaminaError
from lamina.evaluation.metrics import Floats
from lamina.evaluation.table import Table, TrainingSetError, refuse_one_sided
from lamina.registry.searches import SearchLog, TrialRun
from lamina.scoring.checked import all_finite
from lamina.scoring.encode import Encoder
from lamina.scoring.inputs import Input, fingerprint
from lamina.scoring.trained_spec import Split
from lamina.scoring.trees_spec import Ensemble
from lamina.training.chosen import Chosen, Values
from lamina.training.fit import Rows, Watch, fit_leaves, fit_trees, under_sample
from lamina.training.recipe import Recipe, SearchRange

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

FIGURE = "average_precision"
MOST_ROUNDS = 600
PATIENCE = 40
REPORT_EVERY = 25
WARM_UP_ROUNDS = 75
"""Trials are not given up before: slow learners begin low."""
COUNTED = ("COMPLETE", "PRUNED")


class SearchTaken(LaminaError):
    """The same search runs in another process."""


@dataclass(frozen=True)
class SearchPlan:
    """How to search. trials: in all, with those of an earlier process; valid_days: the last training days."""

    trials: int
    valid_days: int
    negatives_per_positive: int
    seed: int
    threads: int


@dataclass(frozen=True)
class Parts:
    """What a trial learns from and what it is held against, encoded."""

    learn: Rows
    valid: Rows
    names: tuple[str, ...]
    features: str
    days: tuple[date, date, date, date]

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change with any row or input."""
        digest = blake2b(f"{self.features}{self.days}".encode(), digest_size=6)
        for rows in (self.learn, self.valid):
            for part in (rows.matrix, rows.positive, rows.weight):
                if part is not None:
                    digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()


def parts(recipe: Recipe, table: Table, split: Split, inputs: tuple[Input, ...], plan: SearchPlan) -> Parts:
    """The training rows, apart by day: the last `valid_days` to choose on, the others, under-sampled, to fit.

    Raises: TrainingSetError: when either part has not both kinds of rows.
    """
    if split.kind != "time":
        raise TrainingSetError("a search chooses on later days, which a random split has none of: use --split time")
    last_fit = split.train_last - timedelta(days=plan.valid_days)
    if last_fit < split.train_first:
        raise TrainingSetError(
            f"{plan.valid_days} days to choose on leave none to fit of the training days {split.train_first} to "
            f"{split.train_last}: raise --train-days or lower --valid-days"
        )
    days = (split.train_first, last_fit, last_fit + timedelta(days=1), split.train_last)
    numbers = [midnight_ms(day) // DAY_MS for day in days]
    known, words = table.weight > 0, recipe.problem.words
    learn, valid = (
        table.take(known & (table.day >= first) & (table.day <= last)) for first, last in (numbers[:2], numbers[2:])
    )
    for rows, what in ((learn, f"{days[0]} to {days[1]} to fit"), (valid, f"{days[2]} to {days[3]} to choose on")):
        refuse_one_sided(rows, words.positives, f"search's days {what}", "Raise --train-days, or change --valid-days")
    learn = learn.take(under_sample(learn.positive, plan.negatives_per_positive, plan.seed).rows)
    encoder = Encoder(inputs)
    encoded = (Rows(encoder.matrix(rows.inputs, len(rows)), rows.positive, rows.weight) for rows in (learn, valid))
    return Parts(next(encoded), next(encoded), tuple(i.name for i in inputs), fingerprint(inputs), days)


def search(
    recipe: Recipe,
    found: Parts,
    plan: SearchPlan,
    log: SearchLog,
    folder: Path,
    day: date,
    told: Callable[[int, int, float], None] = lambda done, wanted, best: None,
) -> Chosen:
    """The parameters of the best of `plan.trials` trials; those that an earlier process finished are not repeated.

    The first trial is of the recorded defaults, so nothing worse than them is chosen, on these days.

    Args: folder: of the studies; told: called after each trial with how many are done, wanted, and the best value.
    Raises: SearchTaken: when another process is at it.
    """
    import optuna

    system = recipe.problem.system
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = json.dumps(
        [asdict(plan) | {"trials": 0, "threads": 0}, MOST_ROUNDS, PATIENCE, recipe.members], sort_keys=True
    )
    data = blake2b((found.fingerprint + settings).encode(), digest_size=6).hexdigest()
    name = f"{system}-{day}-{data}"
    with _alone(folder, name):
        study = optuna.create_study(
            storage=f"sqlite:///{folder / f'{system}.db'}",
            study_name=name,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=8, n_warmup_steps=WARM_UP_ROUNDS),
        )
        for left in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
            study.tell(left.number, state=optuna.trial.TrialState.FAIL)  # its process is gone
        done = _done(study)
        # Seeded by what is done: a study that goes on must not draw again what it has drawn.
        study.sampler = optuna.samplers.TPESampler(seed=plan.seed + len(study.trials))
        if not any(trial.user_attrs.get("defaults") for trial in done):
            study.enqueue_trial(_defaults(recipe), user_attrs={"defaults": True})
        run_id = log.begin(system, name, _described(recipe, found, plan, settings))
        written = log.logged(run_id)
        for trial in done:
            if trial.number not in written:
                log.add(run_id, _run(trial))
        while (count := len(_done(study))) < plan.trials:
            study.optimize(
                lambda trial: _value(trial, recipe, found, plan),
                n_trials=1,
                callbacks=[lambda _, trial: log.add(run_id, _run(trial))],
            )
            told(count + 1, plan.trials, study.best_value)
        chosen = _chosen(study, recipe, found, plan, day, run_id)
        flat = {f"{member}.{key}": value for member, given in chosen.by_member.items() for key, value in given.items()}
        log.end(run_id, {FIGURE: chosen.value, f"{FIGURE}_defaults": chosen.value_of_defaults}, flat)
        return chosen


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, whatever ends it
        except OSError:
            raise SearchTaken(f"search {name} runs in another process: wait for it, or end it") from None
        yield


def _done(study: Study) -> list[FrozenTrial]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in COUNTED]


def _defaults(recipe: Recipe) -> dict[str, float | int]:
    found: dict[str, float | int] = {}
    for member, (given, space) in recipe.members.items():
        for key, (low, high, _, usual) in space.items():
            value = min(max(float(given.get(key, usual)), low), high)
            found[f"{member}.{key}"] = int(value) if isinstance(low, int) else value
    return found


def _suggested(trial: Trial, member: str, space: Mapping[str, SearchRange]) -> Values:
    found: Values = {}
    for key, (low, high, log, _) in space.items():
        name = f"{member}.{key}"
        if isinstance(low, int):
            found[key] = trial.suggest_int(name, low, int(high), log=log)
        else:
            found[key] = trial.suggest_float(name, low, high, log=log)
    return found


class _Reports(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # the library has no types
    """Tells the study of a trial's progress, and ends a trial that does worse than most."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """See XGBoost; False goes on."""
        from optuna import TrialPruned

        if (epoch + 1) % REPORT_EVERY == 0:
            self._trial.report(float(evals_log["watched"]["aucpr"][-1]), epoch + 1)
            if self._trial.should_prune():
                raise TrialPruned
        return False


def _value(trial: Trial, recipe: Recipe, found: Parts, plan: SearchPlan) -> float:
    """Average precision of both members together on the days to choose on."""
    given = {
        member: {**fixed, **_suggested(trial, member, space), "rounds": MOST_ROUNDS}
        for member, (fixed, space) in recipe.members.items()
    }
    own = {"seed": plan.seed, "threads": plan.threads}
    reports = Watch(found.valid, PATIENCE, (_Reports(trial),))
    trees = fit_trees(found.learn, found.names, given["xgboost"], **own, watch=reports)
    rounds = trees.best_iteration + 1
    by_trees = trees.inplace_predict(found.valid.matrix, iteration_range=(0, rounds), validate_features=False)
    leaves = fit_leaves(found.learn, found.names, given["lightgbm"], **own, watch=Watch(found.valid, PATIENCE))
    steps = max(leaves.best_iteration, 1)
    by_leaves = leaves.predict(found.valid.matrix, num_iteration=steps, num_threads=plan.threads)
    weights = Ensemble()
    scores: Floats = weights.xgboost * by_trees.astype(np.float64) + weights.lightgbm * np.asarray(by_leaves)
    all_finite(scores, len(found.valid.positive))
    trial.set_user_attr("rounds", {"xgboost": rounds, "lightgbm": steps})
    trial.set_user_attr("auc", float(roc_auc_score(found.valid.positive, scores, sample_weight=found.valid.weight)))
    return float(average_precision_score(found.valid.positive, scores, sample_weight=found.valid.weight))


def _run(trial: FrozenTrial) -> TrialRun:
    moments = [at.timestamp() if at else time.time() for at in (trial.datetime_start, trial.datetime_complete)]
    metrics = {f"rounds_{name}": float(n) for name, n in trial.user_attrs.get("rounds", {}).items()}
    if trial.state.name == "COMPLETE" and trial.value is not None:
        metrics |= {FIGURE: trial.value, "auc": trial.user_attrs["auc"]}
    elif trial.intermediate_values:
        metrics[f"{FIGURE}_when_given_up"] = trial.intermediate_values[max(trial.intermediate_values)]
    began, ended = (int(moment * 1000) for moment in moments)
    return TrialRun(trial.number, trial.state.name.lower(), began, ended, trial.params, metrics)


def _described(recipe: Recipe, found: Parts, plan: SearchPlan, settings: str) -> dict[str, str | int | float]:
    days = dict(zip(("fit_first", "fit_last", "valid_first", "valid_last"), map(str, found.days), strict=True))
    rows = {
        f"{name}.{key}": value
        for name, part in (("fit", found.learn), ("valid", found.valid))
        for key, value in (("rows", len(part.positive)), (recipe.problem.words.positives, int(part.positive.sum())))
    }
    kept = {key: value for key, value in asdict(plan).items() if key not in ("trials", "threads")}
    return {**days, **rows, **kept, "features": found.features, "settings": settings[:5000]}


def _chosen(study: Study, recipe: Recipe, found: Parts, plan: SearchPlan, day: date, run_id: str) -> Chosen:
    done, best = _done(study), study.best_trial
    defaults = next(trial for trial in done if trial.user_attrs.get("defaults"))
    parameters: dict[str, Values] = {}
    for member, (fixed, space) in recipe.members.items():
        tried = {key: best.params[f"{member}.{key}"] for key in space}
        parameters[member] = {**fixed, **tried, "rounds": best.user_attrs["rounds"][member]}
    return Chosen(
        system=recipe.problem.system,
        logical_date=day,
        study=study.study_name,
        run_id=run_id,
        seed=plan.seed,
        trials=len(done),
        pruned=sum(trial.state.name == "PRUNED" for trial in done),
        figure=FIGURE,
        value=study.best_value,
        value_of_defaults=defaults.value if defaults.value is not None else 0.0,
        fit_first=found.days[0],
        fit_last=found.days[1],
        valid_first=found.days[2],
        valid_last=found.days[3],
        features=found.features,
        parameters=parameters,
    )
