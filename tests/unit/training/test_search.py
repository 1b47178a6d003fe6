"""The search: what it may look at, what it finds, and that a killed one goes on where it stopped."""

from __future__ import annotations

import dataclasses
import fcntl
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamina.definitions.fraud import FEATURES
from lamina.evaluation.read import read_table
from lamina.evaluation.table import Table, TrainingSetError, rows_to_learn
from lamina.registry.memory import MemoryRegistry
from lamina.registry.searches import MlflowSearchLog
from lamina.training import search as searching
from lamina.training.chosen import BrokenSearch, Chosen, last_chosen, write_chosen
from lamina.training.publish import publish
from lamina.training.search import Parts, SearchPlan, SearchTaken, parts, search
from lamina.training.train import SplitKind, TrainingPlan, learnt_inputs
from models.fraud.parameters import LIGHTGBM, XGBOOST
from models.fraud.problem import PROBLEM
from models.fraud.recipe import RECIPE
from tests.training_sets import DAY, write_training_set

PLAN = TrainingPlan(DAY, train_days=7, calibrate=False)
SEARCH = SearchPlan(trials=3, valid_days=3, negatives_per_positive=10, seed=0, threads=1)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "MOST_ROUNDS", 40)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return read_table(write_training_set(str(tmp_path_factory.mktemp("lake"))), PROBLEM, DAY, FEATURES.names)


@pytest.fixture(scope="module")
def found(table: Table) -> Parts:
    return apart(table)


def apart(table: Table, plan: SearchPlan = SEARCH, training: TrainingPlan = PLAN) -> Parts:
    split = training.days
    return parts(RECIPE, table, split, learnt_inputs(PROBLEM, table.take(rows_to_learn(table, split, 0))), plan)


class Kept:
    """A search log in memory, which can end the process at a trial."""

    def __init__(self, killed_at: int | None = None) -> None:
        self.trials: dict[int, str] = {}
        self.ended: dict[str, float] = {}
        self.killed_at = killed_at

    def begin(self, system: str, study: str, parameters: Any) -> str:
        return study

    def logged(self, run_id: str) -> set[int]:
        return set(self.trials)

    def add(self, run_id: str, trial: Any) -> None:
        if trial.number == self.killed_at:
            raise KeyboardInterrupt
        assert trial.number not in self.trials
        self.trials[trial.number] = trial.state

    def end(self, run_id: str, metrics: Any, chosen: Any) -> None:
        self.ended = dict(metrics)


def run(found: Parts, folder: Path, log: Any, plan: SearchPlan = SEARCH) -> Chosen:
    return search(RECIPE, found, plan, log, folder, DAY)


def test_no_test_day_is_looked_at(table: Table, found: Parts) -> None:
    """Whatever the test days hold, and the days before them whose labels arrive, the search sees the same."""
    split = PLAN.days
    assert found.days[0] == split.train_first and found.days[1] < found.days[2] and found.days[3] == split.train_last
    later = table.day > table.day.min() + 6
    turned = dataclasses.replace(table, positive=np.where(later, ~table.positive, table.positive))
    assert apart(turned).fingerprint == found.fingerprint
    other = dataclasses.replace(table, positive=np.where(later, table.positive, np.roll(table.positive, 1)))
    assert apart(other).fingerprint != found.fingerprint


def test_it_chooses_at_least_what_the_defaults_reach_and_repeats_itself(found: Parts, tmp_path: Path) -> None:
    log = Kept()
    first, again = run(found, tmp_path / "a", log), run(found, tmp_path / "b", Kept())
    assert first == again
    assert first.value >= first.value_of_defaults > 0.2
    assert log.ended["average_precision"] == first.value
    for member, defaults in (("xgboost", XGBOOST), ("lightgbm", LIGHTGBM)):
        given = first.by_member[member]
        assert set(defaults) <= set(given)
        assert 1 <= int(given["rounds"]) <= 40
    assert log.trials == {0: "complete", 1: "complete", 2: "complete"}


def test_a_killed_search_goes_on_from_its_finished_trials(found: Parts, tmp_path: Path) -> None:
    plan = dataclasses.replace(SEARCH, trials=4)
    with pytest.raises(KeyboardInterrupt):
        run(found, tmp_path, Kept(killed_at=1), plan)
    import optuna

    (name,) = optuna.get_all_study_names(f"sqlite:///{tmp_path / 'fraud.db'}")
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{tmp_path / 'fraud.db'}")
    study.ask()  # a trial that was under way when its process was killed
    before = [trial.params for trial in study.trials if trial.state.name == "COMPLETE"]
    log, told = Kept(), []
    done = search(RECIPE, found, plan, log, tmp_path, DAY, lambda n, of, best: told.append((n, of)))
    assert told == [(3, 4), (4, 4)]
    assert done.trials == 4 and len(before) == 2
    assert sorted(log.trials) == [0, 1, 3, 4]  # 2 was killed
    params = [trial.params for trial in study.trials if trial.state.name == "COMPLETE"]
    assert params[:2] == before
    assert all(a != b for a, b in itertools.combinations(params, 2))
    assert run(found, tmp_path, log, plan) == done  # nothing is left to do


def test_two_processes_do_not_search_the_same(found: Parts, tmp_path: Path) -> None:
    name = run(found, tmp_path, Kept(), dataclasses.replace(SEARCH, trials=1)).study
    with (tmp_path / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(SearchTaken, match=name):
            run(found, tmp_path, Kept())


@pytest.mark.parametrize(
    ("plan", "training", "words"),
    [
        ({"valid_days": 7}, {}, "leave none to fit"),
        ({}, {"split": SplitKind.RANDOM}, "--split time"),
        ({}, {"train_days": 4}, "known frauds"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    table: Table, plan: dict[str, Any], training: dict[str, Any], words: str
) -> None:
    empty = dataclasses.replace(table, positive=table.positive & (table.day > table.day.min() + 3))
    with pytest.raises(TrainingSetError, match=words):
        apart(empty, dataclasses.replace(SEARCH, **plan), dataclasses.replace(PLAN, **training))


def test_every_trial_is_a_run_below_the_search(found: Parts, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    plan = dataclasses.replace(SEARCH, trials=2)
    done = run(found, tmp_path, MlflowSearchLog(uri), plan)
    tags = {"mlflow.parentRunId": done.run_id, "trial": "1"}  # as left by a process killed while it wrote
    MlflowClient(uri).create_run(MlflowClient(uri).get_run(done.run_id).info.experiment_id, tags=tags)
    more = run(found, tmp_path, MlflowSearchLog(uri), dataclasses.replace(plan, trials=3))
    client = MlflowClient(uri)
    parent = client.get_run(done.run_id)
    assert more.run_id == done.run_id and parent.info.status == "FINISHED"
    assert parent.data.params["valid_last"] == str(found.days[3]) and parent.data.params["seed"] == "0"
    assert parent.data.metrics["average_precision"] == pytest.approx(more.value)
    runs = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{done.run_id}'")
    assert sorted(int(child.data.tags["trial"]) for child in runs) == [0, 1, 2]
    best = max(child.data.metrics["average_precision"] for child in runs)
    assert best == pytest.approx(more.value)
    assert all({"xgboost.max_depth", "lightgbm.num_leaves"} <= set(child.data.params) for child in runs)


def chosen(**changes: Any) -> Chosen:
    days = {"fit_first": DAY, "fit_last": DAY, "valid_first": DAY, "valid_last": DAY, "logical_date": DAY}
    found: dict[str, Any] = {
        **{"system": "fraud", "study": "s", "run_id": "r", "seed": 0, "trials": 3, "pruned": 0, "figure": "ap"},
        **{"value": 0.5, "value_of_defaults": 0.4, "features": "f"},
        "parameters": {"xgboost": {**XGBOOST, "rounds": 7}, "lightgbm": {**LIGHTGBM, "rounds": 9}},
    }
    return Chosen(**found | days | changes)


def test_the_last_search_counts_and_never_a_later_one(tmp_path: Path) -> None:
    lake = str(tmp_path)
    days = [DAY.replace(day=day) for day in (3, 10, 20)]
    for day in days:
        write_chosen(lake, chosen(logical_date=day))
    assert last_chosen(lake, "fraud", DAY.replace(day=2)) is None
    for asked, expected in ((3, days[0]), (19, days[1]), (28, days[2])):
        last = last_chosen(lake, "fraud", DAY.replace(day=asked))
        assert last is not None and last.logical_date == expected
    (tmp_path / "training/fraud/2025-03-20/search.json").write_text("{}")
    with pytest.raises(BrokenSearch, match="--parameters defaults"):
        last_chosen(lake, "fraud", DAY)


def test_a_model_says_who_chose_its_parameters(table: Table, tmp_path: Path) -> None:
    registry = MemoryRegistry(tmp_path)
    publish(RECIPE, registry, table, PLAN, min_auc=0.5, chosen=chosen())
    (version,) = registry.versions("fraud")
    spec = (tmp_path / version.run_id / "model" / "spec.json").read_text()
    assert '"rounds":7' in spec.replace(" ", "") and "search s (3 trials" in spec
    assert "search s (3 trials" in registry.read("fraud", version.version, "model_card.md")
