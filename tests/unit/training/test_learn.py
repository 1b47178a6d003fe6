from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from lamina.definitions.fraud import FEATURES
from lamina.evaluation.evaluate import evaluate
from lamina.evaluation.read import read_table
from lamina.evaluation.table import Table, TrainingSetError
from lamina.registry.memory import MemoryRegistry
from lamina.scoring.linear import LinearScorer
from lamina.scoring.protocol import SCORE
from lamina.training.learn import Kept, last_kept, learn_days, publish_online, write_kept
from lamina.training.online import BrokenState, OnlinePlan
from models.fraud.problem import PROBLEM
from models.fraud.score import load
from tests.training_sets import DAY, write_training_set

PLAN = OnlinePlan(negatives_kept=0.5, rate=0.05)
DELAY = 7


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    lake = write_training_set(str(tmp_path_factory.mktemp("lake")))
    return read_table(lake, PROBLEM, DAY, FEATURES.names)


def learnt(table: Table, day: date, kept: Kept | None = None) -> Kept:
    return learn_days(PROBLEM, table, day, kept, delay_days=DELAY, plan=PLAN)


@pytest.fixture(scope="module")
def kept(table: Table) -> Kept:
    return learnt(table, DAY)


def test_it_learns_the_complete_days_but_those_of_the_test(table: Table, kept: Kept) -> None:
    assert kept.first == DAY - timedelta(days=27)
    assert kept.through == DAY - timedelta(days=10)
    assert kept.learner.rows > 0


def test_a_day_after_the_other_is_as_good_as_both_at_once(table: Table, kept: Kept) -> None:
    """But for rows of a day whose labels came in turn with the next day's: here all take five days or seven."""
    before = learnt(table, DAY - timedelta(days=1))
    after = learnt(table, DAY, before)
    assert after.through == kept.through
    assert after.first == kept.first
    assert after.learner.rows == kept.learner.rows
    assert learnt(table, DAY, before).to_json() == after.to_json()
    assert before.through == DAY - timedelta(days=11)


def test_nothing_new_changes_nothing(table: Table, kept: Kept) -> None:
    assert learnt(table, DAY, kept).to_json() == kept.to_json()


def test_it_is_registered_measured_and_served_as_any_version(table: Table, kept: Kept, tmp_path: Path) -> None:
    registry = MemoryRegistry(tmp_path / "registry")
    said = publish_online(PROBLEM, registry, table, DAY, kept, 0.6, delay_days=DELAY)
    assert said["version"] == "1"
    found = evaluate(PROBLEM, registry, table, DAY, min_auc=0.6)
    assert found.candidate is not None
    assert found.candidate.metrics == said["metrics"]
    assert "learnt row by row" in registry.read("fraud", "1", "model_card.md")
    scorer = load(registry.download("fraud", "1", tmp_path / "served"))
    assert isinstance(scorer, LinearScorer)
    few = table.take(np.arange(5))
    served = scorer.predict_batch([{name: few.inputs[name][i] for name in scorer.names} for i in range(5)])[SCORE]
    assert served.tolist() == scorer.predict_columns(few.inputs, 5)[SCORE].tolist()


def test_a_bad_one_is_recorded_and_not_registered(table: Table, kept: Kept, tmp_path: Path) -> None:
    registry = MemoryRegistry(tmp_path / "registry")
    assert publish_online(PROBLEM, registry, table, DAY, kept, 1.0, delay_days=DELAY)["version"] is None
    assert registry.versions("fraud") == []


def test_what_is_kept_is_read_back_by_later_days_alone(kept: Kept, tmp_path: Path) -> None:
    lake = str(tmp_path)
    assert last_kept(lake, "fraud", DAY) is None
    write_kept(lake, "fraud", DAY, kept)
    assert last_kept(lake, "fraud", DAY) is None
    found = last_kept(lake, "fraud", DAY + timedelta(days=3))
    assert found is not None
    assert found.to_json() == kept.to_json()


def test_a_gap_or_another_meaning_begins_anew(table: Table, kept: Kept) -> None:
    old = dataclasses.replace(kept, through=kept.first - timedelta(days=5))
    assert learnt(table, DAY, old).to_json() == kept.to_json()
    learner = kept.learner.from_json(kept.learner.to_json())
    learner.inputs = (learner.inputs[0].model_copy(update={"meaning": "another"}), *learner.inputs[1:])
    changed = dataclasses.replace(kept, learner=learner, through=kept.through - timedelta(days=1))
    assert learnt(table, DAY, changed).to_json() == kept.to_json()


def test_what_cannot_be_is_refused(table: Table, kept: Kept, tmp_path: Path) -> None:
    registry = MemoryRegistry(tmp_path / "registry")
    honest = dataclasses.replace(table, positive=np.zeros(len(table), bool))
    with pytest.raises(TrainingSetError, match="0 known frauds"):
        publish_online(PROBLEM, registry, honest, DAY, kept, 0.5, delay_days=DELAY)
    early = learnt(table, DAY - timedelta(days=30))
    with pytest.raises(TrainingSetError, match="extract more days"):
        publish_online(PROBLEM, registry, table, DAY, early, 0.5, delay_days=DELAY)
    with pytest.raises(BrokenState, match="learn anew"):
        Kept.from_json("{}")
