"""A ranker from the training set of a day: rows, training in the environment with torch, calibration, figures."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from lamina.clock import DAY_MS, midnight_ms
from lamina.evaluation.head_figures import auc_within, head_figures
from lamina.evaluation.metrics import Floats
from lamina.evaluation.scores import scores_of
from lamina.evaluation.table import Table, TooFewRows, refuse_one_sided, rows_to_learn, rows_to_test
from lamina.scoring.checked import all_finite
from lamina.scoring.compiled import Compiled
from lamina.scoring.encode import Encoder, categories_of
from lamina.scoring.inputs import Input, inputs_of
from lamina.scoring.network import COMPILED_FILE, NETWORK_FILE
from lamina.scoring.ranker.heads import Head, ServedHead
from lamina.scoring.ranker.scorer import RankerScorer
from lamina.scoring.ranker.spec import RankerSpec
from lamina.scoring.trained_spec import Rows
from lamina.training.commit import commit
from lamina.training.ranking.calibrate import fit_line
from lamina.training.ranking.data import Examples, Shown, sizes_of
from lamina.training.ranking.recipe import RankingPlan, RankingRecipe
from lamina.training.ranking.settings import DONE_FILE
from lamina.training.torch_process import ENVIRONMENT, run

MODULE = "lamina.training.ranking.train"
LIBRARIES = ("numpy", "onnxruntime", "scikit-learn")


@dataclass(frozen=True)
class Prepared:
    """Rows to learn from, rows of later days to watch and to calibrate on, and rows to test on."""

    recipe: RankingRecipe
    plan: RankingPlan
    inputs: tuple[Input, ...]
    learn: Table
    valid: Table
    test: Table
    unknown: int

    def examples(self) -> Examples:
        """What the training is told."""
        return Examples(self.recipe.heads, sizes_of(self.inputs), self._shown(self.learn), self._shown(self.valid))

    def _shown(self, rows: Table) -> Shown:
        matrix = Encoder(self.inputs).matrix(rows.inputs, len(rows))
        truth, weight = (each.astype(np.float32) for each in (self.recipe.truth(rows), rows.weight))
        return Shown(matrix, truth, self.recipe.positions(rows), weight)


def prepare(recipe: RankingRecipe, table: Table, plan: RankingPlan) -> Prepared:
    """The rows of `table` for a ranker of `recipe` by `plan`. Where the recipe has no positions, no places are learnt.

    Raises: BadRecipe, BadWeights, BadRankerSetting: the recipe does not fit; TrainingSetError: rows are missing.
    """
    recipe.check()
    if recipe.position is None:
        # All rows would be at the place of those that are not known, which would learn what is the intercept's.
        recipe = replace(recipe, settings=replace(recipe.settings, positions=0))
    problem, split = recipe.problem, plan.days
    days = table.take(rows_to_learn(table, split, recipe.settings.seed))
    later = days.day > midnight_ms(split.train_last) // DAY_MS - plan.valid_days
    test = table.take(rows_to_test(table, split, recipe.settings.seed, known_leave=problem.known_leave))
    learn, valid = days.take(~later), days.take(later)
    remedy = f"Extract these days for {plan.day}, or change how many there are"
    for what, rows in (("days to learn from", learn), ("validation days", valid), ("test days", test)):
        refuse_one_sided(rows, problem.words.positives, what, remedy)
        for head, truth in zip(recipe.heads, recipe.truth(rows).T, strict=True):
            if not (truth > 0).any() or (truth[~np.isnan(truth)] == np.nanmax(truth)).all():
                raise TooFewRows(f"the {what} hold no rows that differ in head {head.name!r}. {remedy}")
    recipe.check_served(learn)
    features = problem.features
    texts = (name for name in features.model_features if name in features.categorical)
    inputs = inputs_of(features, {name: categories_of(learn.inputs[name]) for name in texts})
    first, last = (midnight_ms(day) // DAY_MS for day in (split.train_first, split.train_last))
    unknown = int(((table.day >= first) & (table.day <= last) & (table.weight == 0)).sum())
    return Prepared(recipe, plan, inputs, learn, valid, test, unknown)


def train_ranker(prepared: Prepared, folder: Path) -> RankerSpec:
    """Write the ranker that is learnt from `prepared` rows into `folder`, which is created; returns its spec.

    Raises: TrainingFailed: says what the training said last; NothingLearnt, BadScore: as `complete`.
    """
    with tempfile.TemporaryDirectory(prefix="lamina-ranker-") as name:
        examples, out = Path(name) / "examples", Path(name) / "network"
        prepared.examples().write(examples, prepared.recipe.settings)
        run([str(ENVIRONMENT / "bin" / "python"), "-m", MODULE, str(examples), str(out)], "a ranker")
        return complete(prepared, out, folder)


def complete(prepared: Prepared, trained: Path, folder: Path) -> RankerSpec:
    """Make the network in `trained` a ranker in `folder`: calibrated, weighed and measured on the test days.

    Figures of a head, `<head>_<figure>`, are of its values at the positions where rows were shown, the only ones whose
    truth is known; those of the score, by the problem's label, are of the score as it is served. `auc_within_position`
    is the score's, too: `auc` rewards one that repeats the policy by which rows were shown.
    Raises: NothingLearnt: of a head; BadScore: a score is no finite number.
    """
    recipe, split = prepared.recipe, prepared.plan.days
    folder.mkdir(parents=True, exist_ok=True)
    for file in (NETWORK_FILE, COMPILED_FILE):
        shutil.copyfile(trained / file, folder / file)
    compiled = Compiled.read(folder / COMPILED_FILE)
    done = json.loads((trained / DONE_FILE).read_bytes())
    losses = done["losses"]
    spec = RankerSpec(
        system=recipe.problem.system,
        logical_date=prepared.plan.day,
        inputs=prepared.inputs,
        split=split,
        rows=Rows(
            unknown=prepared.unknown,
            train=len(prepared.learn) + len(prepared.valid),
            train_positives=int(prepared.learn.positive.sum() + prepared.valid.positive.sum()),
            used=len(prepared.learn),
            test=len(prepared.test),
            test_positives=int(prepared.test.positive.sum()),
        ),
        seed=recipe.settings.seed,
        parameters={**recipe.settings.as_parameters(), "best_epoch": losses.index(min(losses)) + 1},
        heads=_calibrated(prepared, compiled),
        position=recipe.served_at,
        metrics={},
        git_commit=commit(),
        libraries={name: version(name) for name in LIBRARIES} | {"torch": done["torch"]},
    )
    recipe.weights.write(folder)
    scorer = RankerScorer(spec, recipe.weights, compiled)
    spec = spec.model_copy(update={"metrics": figures(recipe, scorer, prepared.test)})
    spec.write(folder)
    return spec


def figures(recipe: RankingRecipe, scorer: RankerScorer, rows: Table) -> dict[str, float]:
    """Figures of the score and of each head on `rows`; see `complete`.

    Raises: BadScore: a score is no finite number; ValueError: all rows are of one kind.
    """
    score = scores_of(scorer, rows)
    position = recipe.positions(rows)
    within = {"auc_within_position": auc_within(rows.positive, score, position)}
    found = recipe.problem.figures(rows, score) | within
    shown = scorer.predict_at(rows.inputs, position)
    for head, truth in zip(recipe.heads, recipe.truth(rows).T, strict=True):
        values = all_finite(shown[head.name], len(rows))
        found |= {f"{head.name}_{name}": v for name, v in head_figures(head.kind, truth, values, rows.weight).items()}
    return found


def _calibrated(prepared: Prepared, compiled: Compiled) -> tuple[ServedHead, ...]:
    """Heads with their lines, fitted where rows were shown, and their means at the position that is served."""
    recipe, rows = prepared.recipe, prepared.valid
    matrix = np.empty((len(rows), len(prepared.inputs) + 1), np.float32)
    matrix[:, :-1] = Encoder(prepared.inputs).matrix(rows.inputs, len(rows))
    margins = []
    for position in (recipe.positions(rows), recipe.served_at):
        matrix[:, -1] = position
        margins.append(compiled.run(matrix).astype(np.float64))
    truth = recipe.truth(rows)
    return tuple(
        _served(head, shown, served, truth[:, place], rows.weight)
        for place, (head, shown, served) in enumerate(zip(recipe.heads, *(each.T for each in margins), strict=True))
    )


def _served(head: Head, shown: Floats, served: Floats, truth: Floats, weight: Floats) -> ServedHead:
    slope, intercept = fit_line(head, shown, truth, weight)
    found = ServedHead(**head.model_dump(), slope=slope, intercept=intercept, mean=1.0)
    return found.model_copy(update={"mean": float(np.average(found.value(served), weights=weight))})
