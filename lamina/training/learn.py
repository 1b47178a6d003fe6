"""Day after day the online regression goes on where it stopped, and is registered as a version that may challenge.

For the logical date D it learns from the days whose labels are complete, all but the last few: on those it is measured,
by itself and by the gate. What it has learnt is kept beside the training set of D; a rerun of D goes on from what was
kept of an earlier day, and so comes out the same.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from lamina.clock import DAY_MS, day_of, midnight_ms
from lamina.evaluation.problem import Problem
from lamina.evaluation.table import Table, TooFewRows, refuse_one_sided, rows_to_learn, rows_to_test
from lamina.lake import layout
from lamina.lake.files import children, name_of
from lamina.lake.write import open_lake
from lamina.registry.protocol import MODEL_FOLDER, Kind, ModelRegistry
from lamina.scoring.inputs import Input
from lamina.scoring.linear import LinearScorer, LinearSpec
from lamina.scoring.protocol import SCORE
from lamina.scoring.trained_spec import Rows, Split
from lamina.training.commit import commit
from lamina.training.further import Grounds, record_further
from lamina.training.online import BrokenState, OnlineLearner, OnlinePlan, in_order_of_labels
from lamina.training.train import learnt_inputs

STATE = "online.json"


@dataclass(frozen=True)
class Kept:
    """A learner, and the last day whose rows it has learnt from."""

    learner: OnlineLearner
    first: date
    through: date

    def to_json(self) -> str:
        """As it is kept."""
        return json.dumps(
            {"first": self.first.isoformat(), "through": self.through.isoformat(), "learner": self.learner.to_json()}
        )

    @classmethod
    def from_json(cls, text: str) -> Kept:
        """What `to_json` wrote.

        Raises: BrokenState: when it is nothing of the kind.
        """
        try:
            kept = json.loads(text)
            learner = OnlineLearner.from_json(kept["learner"])
            return cls(learner, date.fromisoformat(kept["first"]), date.fromisoformat(kept["through"]))
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenState(f"what was kept of a learner cannot be read ({error}): let it learn anew") from None


def write_kept(lake: str, system: str, day: date, kept: Kept) -> str:
    """Keep it beside the training set of `day`, in the place of an earlier one; returns where."""
    url = f"{layout.training(lake, system, day)}/{STATE}"
    fs, path = open_lake(url)
    fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    fs.pipe_file(path, kept.to_json().encode())
    return url


def last_kept(lake: str, system: str, day: date) -> Kept | None:
    """What was kept for the newest day before `day`; None where nothing was.

    Raises: BrokenState: when it cannot be read.
    """
    fs, folder = open_lake(layout.training(lake, system, day).rsplit("/", 1)[0])
    found = sorted(name_of(made) for made in children(fs, folder) if fs.exists(f"{made}/{STATE}"))
    earlier = [name for name in found if name < day.isoformat()]
    return Kept.from_json(fs.cat_file(f"{folder}/{earlier[-1]}/{STATE}").decode()) if earlier else None


def learn_days(
    problem: Problem,
    table: Table,
    day: date,
    kept: Kept | None,
    *,
    delay_days: int,
    test_days: int = 3,
    plan: OnlinePlan | None = None,
) -> Kept:
    """What is known after the days of `table` that are complete by the end of `day`, the last `test_days` left out.

    A learner whose features mean something else by now, or one that a gap in the days parts from the table, begins
    anew.
    """
    last = day - timedelta(days=delay_days + test_days)
    inputs = learnt_inputs(problem, table)
    first = day_of(int(table.day.min()) * DAY_MS)
    if kept is not None and (_meanings(kept.learner.inputs) != _meanings(inputs) or kept.through < first - ONE_DAY):
        kept = None
    since = first if kept is None else kept.through + ONE_DAY
    split = Split(
        kind="time", train_first=since, train_last=last, delay_days=delay_days, test_first=last, test_last=last
    )
    rows = table.take(rows_to_learn(table, split, 0))
    # A copy goes on: what was kept stays what it was.
    learner = (
        OnlineLearner(inputs, plan or OnlinePlan()) if kept is None else OnlineLearner.from_json(kept.learner.to_json())
    )
    if len(rows):
        learner.learn(rows, in_order_of_labels(rows, delay_days))
    return Kept(learner, first if kept is None else kept.first, max(last, since - ONE_DAY))


ONE_DAY = timedelta(days=1)


def publish_online(
    problem: Problem, registry: ModelRegistry, table: Table, day: date, kept: Kept, min_auc: float, *, delay_days: int
) -> dict[str, object]:
    """Record what was learnt as a run; register a version when its AUC on the days after is at least `min_auc`.

    Returns: run_id, version (None when it was not good enough), metrics, drifts that it has found.
    Raises: TooFewRows: when the test days do not have both kinds of rows, or nothing was learnt yet.
    """
    learner = kept.learner
    if not learner.rows:
        raise TooFewRows(f"no row up to {kept.through} was learnt from: extract more days for {day}")
    split = Split(
        kind="time",
        train_first=kept.first,
        train_last=kept.through,
        delay_days=delay_days,
        test_first=kept.through + ONE_DAY,
        test_last=day - timedelta(days=delay_days),
    )
    test, served = (
        table.take(rows_to_test(table, split, 0, known_leave=left)) for left in (problem.known_leave, False)
    )
    words = problem.words
    remedy = f"Extract these days for {day}"
    refuse_one_sided(test, words.positives, f"test days {split.test_first} to {split.test_last}", remedy)
    learnt = table.take(np.asarray((table.day <= midnight_ms(split.train_last) // DAY_MS) & (table.weight > 0)))
    spec = _spec(problem, day, learner, split, learnt, test)
    scorer = LinearScorer(spec)
    grounds = Grounds(learnt, test, served, lambda rows: scorer.predict_columns(rows.inputs, len(rows))[SCORE])
    spec = spec.model_copy(update={"metrics": problem.figures(test, grounds.score(test))})
    with tempfile.TemporaryDirectory(prefix="lamina-online-") as name:
        folder = Path(name)
        (folder / MODEL_FOLDER).mkdir()
        spec.write(folder / MODEL_FOLDER)
        logged = {"drifts": learner.drifts, "rate": learner.rate, "rows": learner.rows}
        run_id, registered = record_further(
            problem, registry, spec, folder, grounds, min_auc, kind=Kind.ONLINE, parameters=logged
        )
    return {"run_id": run_id, "version": registered, "metrics": spec.metrics, "drifts": learner.drifts}


def _meanings(inputs: tuple[Input, ...]) -> list[tuple[str, str]]:
    return [(each.name, each.meaning) for each in inputs]


def _spec(problem: Problem, day: date, learner: OnlineLearner, split: Split, learnt: Table, test: Table) -> LinearSpec:
    return LinearSpec(
        system=problem.system,
        logical_date=day,
        inputs=learner.inputs,
        negatives_kept=learner.plan.negatives_kept,
        split=split,
        rows=Rows(
            train=len(learnt),
            train_positives=int(learnt.positive.sum()),
            used=learner.rows,
            test=len(test),
            test_positives=int(test.positive.sum()),
        ),
        seed=0,
        parameters_from=f"learnt row by row; {learner.drifts} drifts found",
        metrics={},
        git_commit=commit(),
        libraries={},
        intercept=learner.intercept,
        numbers=learner.numbers,
        texts=learner.texts,
    )
