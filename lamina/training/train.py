"""A model from the training set of a day: which rows, what is fitted on them, and how good it is in the test."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date as Day
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

from lamina.clock import DAY_MS, midnight_ms
from lamina.evaluation.metrics import Floats
from lamina.evaluation.plots import write_curves
from lamina.evaluation.problem import Problem
from lamina.evaluation.slices import measure_slices
from lamina.evaluation.table import Table, refuse_one_sided, rows_to_learn, rows_to_test, split_days
from lamina.monitoring.drift.reference import Reference
from lamina.orchestration.days import DELAY_DAYS, TEST_DAYS, TRAIN_DAYS
from lamina.registry.evaluation import Slice
from lamina.scoring.checked import all_finite
from lamina.scoring.encode import Encoder, categories_of
from lamina.scoring.inputs import Input, inputs_of
from lamina.scoring.trained_spec import DEFAULTS, Rows, Split
from lamina.scoring.trees import CompiledTrees, TreesScorer
from lamina.scoring.trees_spec import Ensemble, ModelSpec
from lamina.training.calibrate import fit_calibration, held_out_scores
from lamina.training.chosen import Chosen
from lamina.training.commit import commit
from lamina.training.fit import BASE_SCORE, Members, Sample, fit, under_sample
from lamina.training.recipe import Policies, Recipe
from lamina.training.reference import reference_of

LIBRARIES = ("lightgbm", "numpy", "scikit-learn", "xgboost")


class SplitKind(StrEnum):
    """How training and test rows are told apart."""

    TIME = "time"
    RANDOM = "random"


@dataclass(frozen=True)
class TrainingPlan:
    """What to train. `negatives_per_positive` 0 uses every row; `calibrate` costs two thirds of three more fits;
    `blocked_days` and `gap_days` as in `split_days`.
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
    gap_days: int | None = None

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
            gap_days=self.gap_days,
        )


@dataclass(frozen=True)
class Trained:
    """A model that is ready to score, the scored test behind its metrics, and what it will be compared with in use."""

    members: Members
    spec: ModelSpec
    reference: Reference
    slices: tuple[Slice, ...] = ()

    def save(self, folder: Path) -> None:
        """Write weights and spec into `folder`, which is created."""
        folder.mkdir(parents=True, exist_ok=True)
        self.members.save(folder)
        self.spec.write(folder)


def train(
    recipe: Recipe,
    table: Table,
    plan: TrainingPlan,
    curves: Path | None = None,
    *,
    chosen: Chosen | None = None,
    policies: Policies | None = None,
) -> Trained:
    """The model that `recipe` and `plan` describe, from the rows of `table`; writes the test's curves into `curves`.

    Args: curves: a folder; chosen: parameters of a search, else the recorded defaults; policies: what actions are
    measured by on the test days.
    Raises: TrainingSetError: when the training or the test days do not have both kinds of rows.
    """
    problem, split = recipe.problem, plan.days
    learn = table.take(rows_to_learn(table, split, plan.seed))
    test = table.take(rows_to_test(table, split, plan.seed, known_leave=problem.known_leave))
    remedy = f"Extract these days for {plan.day}, or change --train-days, --delay-days and --test-days"
    refuse_one_sided(learn, problem.words.positives, f"training days {split.train_first} to {split.train_last}", remedy)
    refuse_one_sided(test, problem.words.positives, f"test days {split.test_first} to {split.test_last}", remedy)
    sample = under_sample(learn.positive, plan.negatives_per_positive, plan.seed)
    used = learn.take(sample.rows)
    inputs = learnt_inputs(problem, learn)
    encoder = Encoder(inputs)
    names = tuple(i.name for i in inputs)
    parameters = dict(recipe.parameters if chosen is None else chosen.by_member)
    own = {"seed": plan.seed, "threads": plan.threads}
    members = fit(
        encoder.matrix(used.inputs, len(used)),
        used.positive,
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
            learn.positive,
            learn.unit,
            negatives_per_positive=plan.negatives_per_positive,
            **own,
            weight=weight,
            parameters=parameters,
        )
        calibration = fit_calibration(learn.positive, apart, weight)
    spec = ModelSpec(
        system=problem.system,
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
        git_commit=commit(),
        libraries={name: version(name) for name in LIBRARIES},
    )
    # In use it scores units, too, that leave the test once they are known.
    served = table.take(rows_to_test(table, split, plan.seed, known_leave=False))
    scorer = scorer_of(spec, members)
    scores, served_scores = (
        all_finite(scorer.score(encoder.matrix(rows.inputs, len(rows))), len(rows)) for rows in (test, served)
    )
    if curves is not None:
        write_curves(curves, test.positive, scores)
    money = {} if policies is None else policies.measure(test, scores, calibrated=calibration is not None)
    spec = spec.model_copy(update={"metrics": problem.figures(test, scores), "money": money})
    reference = reference_of(learn, served, served_scores, names)
    return Trained(members, spec, reference, measure_slices(problem, test, scores))


def learnt_inputs(problem: Problem, rows: Table) -> tuple[Input, ...]:
    """The model's inputs, with the categories that `rows` hold."""
    features = problem.features
    texts = (name for name in features.model_features if name in features.categorical)
    return inputs_of(features, {name: categories_of(rows.inputs[name]) for name in texts})


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
    waited = learn.waited[learn.positive]
    return Rows(
        unknown=int(((table.day >= first) & (table.day <= last) & (table.weight == 0)).sum()),
        let_through=int((learn.weight > 1).sum()),
        labels_late=float((waited > split.delay_days).mean()),
        train=len(learn),
        train_positives=int(learn.positive.sum()),
        used=len(sample.rows),
        test=len(test),
        test_positives=int(test.positive.sum()),
    )
