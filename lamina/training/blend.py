"""A recency-weighted ensemble of past versions: each is weighed by what it was worth lately, the newer days the more.

A version's loss is the mean log loss of its scores on labelled rows that it has not learnt from, each row counting half
as much for every `half_life_days` that it is older. Its weight falls exponentially with the loss (Hedge; Freund and
Schapire 1997): one whose loss is twice the least has exp(-`sharpness`) times the weight of the best. An example with a
sharpness of 4:

    version  loss   beside the least  weight before it adds up to 1
    7        0.020  1.0               1.000
    6        0.025  1.25              exp(-4 x 0.25) = 0.368
    5        0.040  2.0               exp(-4 x 1.00) = 0.018, below the least share: left out
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from sklearn.metrics import log_loss

from lamina.clock import DAY_MS, midnight_ms
from lamina.errors import ModelUnavailable
from lamina.evaluation.metrics import Floats
from lamina.evaluation.problem import Problem
from lamina.evaluation.scores import scores_of
from lamina.evaluation.table import Table, refuse_one_sided, rows_to_learn, rows_to_test
from lamina.registry.protocol import MODEL_FOLDER, Kind, ModelRegistry, ModelVersion
from lamina.scoring import trees
from lamina.scoring.blend import BlendScorer, BlendSpec, Member
from lamina.scoring.trained_spec import Rows, Split
from lamina.scoring.trees import TreesScorer
from lamina.training.commit import commit
from lamina.training.further import Grounds, record_further

SMALLEST = 1e-6


@dataclass(frozen=True)
class BlendPlan:
    """Which past versions are blended for the logical date `day`, and how they are weighed.

    Of the `most` newest versions of up to that day whose training ended before the weighing days those take part whose
    weight is at least `least_weight`. The weighing days end right before the `test_days`, which are the last whose
    labels are complete.
    """

    day: date
    delay_days: int = 7
    weigh_days: int = 7
    test_days: int = 3
    most: int = 5
    half_life_days: float = 3.0
    sharpness: float = 4.0
    least_weight: float = 0.02

    @property
    def split(self) -> Split:
        """The days that are weighed on, as training days, and those of the test."""
        test_last = self.day - timedelta(days=self.delay_days)
        test_first = test_last - timedelta(days=self.test_days - 1)
        return Split(
            kind="time",
            train_first=test_first - timedelta(days=self.weigh_days),
            train_last=test_first - timedelta(days=1),
            delay_days=self.delay_days,
            test_first=test_first,
            test_last=test_last,
        )


@dataclass(frozen=True)
class Candidate:
    """A version that may take part, loaded from its folder."""

    version: ModelVersion
    folder: Path
    scorer: TreesScorer


def weights_of(losses: Floats, plan: BlendPlan) -> Floats:
    """float64[n] weights of versions with these losses, 0 where one is left out; they add up to 1.

    >>> weights_of(np.array([0.020, 0.025, 0.040]), BlendPlan(date(2025, 1, 1))).round(3).tolist()
    [0.731, 0.269, 0.0]
    """
    least = losses.min()
    raw = np.exp(-plan.sharpness * (losses / least - 1.0)) if least > 0 else (losses == least).astype(np.float64)
    raw[raw / raw.sum() < plan.least_weight] = 0.0
    found: Floats = raw / raw.sum()
    return found


def recent_loss(rows: Table, scores: Floats, plan: BlendPlan) -> float:
    """Mean log loss of scores, float64[n], the newer rows counting more."""
    age = midnight_ms(plan.split.train_last) // DAY_MS - rows.day
    weight = rows.weight * 0.5 ** (age / plan.half_life_days)
    return float(log_loss(rows.positive, np.clip(scores, SMALLEST, 1 - SMALLEST), sample_weight=weight, labels=[0, 1]))


def publish_blend(
    problem: Problem, registry: ModelRegistry, table: Table, plan: BlendPlan, min_auc: float
) -> dict[str, object]:
    """Blend past versions, record the run, register a version when its AUC is at least `min_auc`.

    Returns: run_id, version (None when it was not good enough), metrics and the members' weights; run_id is None, for a
    `reason`, where fewer than two versions can take part.
    Raises: TooFewRows: when the weighing or the test days do not have both kinds of rows.
    """
    split, words = plan.split, problem.words
    weigh = table.take(rows_to_learn(table, split, 0))
    test, served = (
        table.take(rows_to_test(table, split, 0, known_leave=left)) for left in (problem.known_leave, False)
    )
    remedy = f"Extract these days for {plan.day}"
    refuse_one_sided(weigh, words.positives, f"weighing days {split.train_first} to {split.train_last}", remedy)
    refuse_one_sided(test, words.positives, f"test days {split.test_first} to {split.test_last}", remedy)
    with tempfile.TemporaryDirectory(prefix="lamina-blend-") as name:
        candidates = _candidates(problem, registry, plan, Path(name) / "versions")
        if len(candidates) < 2:
            few = f"{len(candidates)} versions learnt from days before {split.train_first} alone: 2 are needed"
            return {"run_id": None, "version": None, "metrics": {}, "members": {}, "reason": few}
        losses = np.array([recent_loss(weigh, scores_of(each.scorer, weigh), plan) for each in candidates])
        weights = weights_of(losses, plan)
        chosen = [(float(w), each) for w, each in zip(weights, candidates, strict=True) if w > 0]
        folder = Path(name) / "run"
        spec = _save(problem, plan, chosen, weigh, test, folder)
        blended = BlendScorer(spec, [each.scorer for _, each in chosen])
        grounds = Grounds(weigh, test, served, lambda rows: scores_of(blended, rows))
        members = {each.version: each.weight for each in spec.members}
        logged = {f"member.{version}": weight for version, weight in members.items()}
        run_id, registered = record_further(
            problem, registry, spec, folder, grounds, min_auc, kind=Kind.BLEND, parameters=logged
        )
    return {"run_id": run_id, "version": registered, "metrics": spec.metrics, "members": members}


def _candidates(problem: Problem, registry: ModelRegistry, plan: BlendPlan, folder: Path) -> list[Candidate]:
    found: list[Candidate] = []
    for version in registry.versions(problem.system):
        if len(found) == plan.most:
            break
        # Trainings alone: a blend of blends would count some versions twice.
        if "superseded_by" in version.tags or version.kind != Kind.TRAINING:
            continue
        files = registry.download(version.name, version.version, folder / version.version)
        try:
            scorer = trees.load(files, problem.features)
        except ModelUnavailable:
            # It means something else by now, or is of another kind: it cannot serve alone either.
            continue
        # None of later days: a day that is blended again is to have the same members.
        if scorer.spec.logical_date <= plan.day and scorer.spec.split.train_last < plan.split.train_first:
            found.append(Candidate(version, files, scorer))
    return found


def _save(
    problem: Problem,
    plan: BlendPlan,
    chosen: Sequence[tuple[float, Candidate]],
    weigh: Table,
    test: Table,
    folder: Path,
) -> BlendSpec:
    """Write the members and the spec that names them; returns the spec, with its figures on the test."""
    model = folder / MODEL_FOLDER
    members = []
    for i, (weight, each) in enumerate(chosen):
        shutil.copytree(each.folder, model / f"member-{i}")
        spec = each.scorer.spec
        members.append(
            Member(
                folder=f"member-{i}",
                version=each.version.version,
                logical_date=spec.logical_date,
                weight=weight,
            )
        )
    inputs = {part.name: part for _, each in chosen for part in each.scorer.spec.inputs}
    found = BlendSpec(
        system=problem.system,
        logical_date=plan.day,
        inputs=tuple(inputs.values()),
        split=plan.split,
        rows=Rows(
            train=len(weigh),
            train_positives=int(weigh.positive.sum()),
            used=len(weigh),
            test=len(test),
            test_positives=int(test.positive.sum()),
        ),
        seed=0,
        parameters_from="weights by recent loss",
        members=tuple(members),
        metrics={},
        git_commit=commit(),
        libraries={},
    )
    scores = scores_of(BlendScorer(found, [each.scorer for _, each in chosen]), test)
    found = found.model_copy(update={"metrics": problem.figures(test, scores)})
    found.write(model)
    return found
