from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lamina.definitions.fraud import FEATURES
from lamina.errors import BadScore
from lamina.evaluation.evaluate import evaluate
from lamina.evaluation.read import read_table
from lamina.evaluation.table import Table
from lamina.evaluation.verdict import Rule, challenges, verdict
from lamina.registry.deploy import promote
from lamina.registry.evaluation import Contender, Interval
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import CARD_FILE, MODEL_FOLDER, TrainingRun
from lamina.scoring.trees import TreesScorer
from lamina.training.publish import publish
from lamina.training.train import SplitKind, Trained, TrainingPlan, train
from models.fraud.problem import PROBLEM
from models.fraud.recipe import RECIPE
from tests.training_sets import DAY, write_training_set

PLAN = TrainingPlan(DAY, train_days=7, calibrate=False)
BEFORE = DAY - timedelta(days=1)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    lake = write_training_set(str(tmp_path_factory.mktemp("lake")))
    return read_table(lake, PROBLEM, DAY, FEATURES.names)


@pytest.fixture
def registry(tmp_path: Path) -> MemoryRegistry:
    return MemoryRegistry(tmp_path / "registry")


def add(registry: MemoryRegistry, trained: Trained, folder: Path, day: date) -> str:
    """Register `trained` as the model of `day`; returns its version."""
    dated = dataclasses.replace(trained, spec=trained.spec.model_copy(update={"logical_date": day}))
    dated.save(folder / MODEL_FOLDER)
    run_id = registry.record(TrainingRun("fraud", day, folder))
    return registry.register("fraud", run_id, {"logical_date": day.isoformat()}).version


def shuffled(table: Table) -> Table:
    """The same rows with labels that belong to others, to learn something worse from."""
    return dataclasses.replace(table, positive=np.random.default_rng(0).permutation(table.positive))


def test_the_first_model_is_promoted_when_it_meets_the_minimum(registry: MemoryRegistry, table: Table) -> None:
    publish(RECIPE, registry, table, PLAN, min_auc=0.8)
    found = evaluate(PROBLEM, registry, table, DAY, min_auc=0.8)
    assert found.promote
    assert found.candidate is not None
    assert found.champion is None
    assert found.rows > 0


def test_what_training_measured_is_measured_again(registry: MemoryRegistry, table: Table) -> None:
    said = publish(RECIPE, registry, table, PLAN, min_auc=0.8)
    found = evaluate(PROBLEM, registry, table, DAY, min_auc=0.8)
    assert found.candidate is not None
    assert found.candidate.metrics == said["metrics"]


def test_a_better_model_takes_over_and_a_worse_one_does_not(
    registry: MemoryRegistry, table: Table, tmp_path: Path
) -> None:
    good, bad = train(RECIPE, table, PLAN), train(RECIPE, shuffled(table), PLAN)
    promote(registry, "fraud", add(registry, bad, tmp_path / "bad", BEFORE))
    add(registry, good, tmp_path / "good", DAY)
    found = evaluate(PROBLEM, registry, table, DAY, min_auc=0.8)
    assert found.promote
    assert found.champion is not None
    assert found.candidate is not None
    assert found.candidate.metrics["average_precision"] > found.champion.metrics["average_precision"]
    gained = found.differences["average_precision"]
    assert 0 < gained.low < gained.difference < gained.high
    card = registry.read("fraud", "2", CARD_FILE)
    assert "| average_precision |" in card
    assert "champion 1" in card

    promote(registry, "fraud", "2")
    later = DAY + timedelta(days=1)
    add(registry, bad, tmp_path / "later", later)
    worse = evaluate(PROBLEM, registry, table, later, min_auc=0.0)
    assert not worse.promote
    assert worse.reasons[0].startswith("not better")
    assert not worse.challenge  # noise is surely worse


def test_no_version_for_the_day(registry: MemoryRegistry, table: Table) -> None:
    found = evaluate(PROBLEM, registry, table, DAY, min_auc=0.8)
    assert not found.promote
    assert "no version is registered" in found.reasons[0]


def test_a_champion_that_cannot_be_loaded_can_be_replaced(
    registry: MemoryRegistry, table: Table, tmp_path: Path
) -> None:
    trained = train(RECIPE, table, PLAN)
    first, *rest = trained.spec.inputs
    changed = trained.spec.model_copy(update={"inputs": (first.model_copy(update={"meaning": "another"}), *rest)})
    promote(registry, "fraud", add(registry, dataclasses.replace(trained, spec=changed), tmp_path / "old", BEFORE))
    add(registry, trained, tmp_path / "new", DAY)
    found = evaluate(PROBLEM, registry, table, DAY, min_auc=0.8)
    assert found.promote
    assert "cannot be used any more" in found.reasons[0]


def test_rows_that_the_champion_learnt_from_are_left_out(
    registry: MemoryRegistry, table: Table, tmp_path: Path
) -> None:
    trained = train(RECIPE, table, PLAN)
    split = trained.spec.split
    middle = split.test_first + (split.test_last - split.test_first) / 2
    late = trained.spec.model_copy(update={"split": split.model_copy(update={"train_last": middle})})
    promote(registry, "fraud", add(registry, dataclasses.replace(trained, spec=late), tmp_path / "old", BEFORE))
    add(registry, trained, tmp_path / "new", DAY)
    found = evaluate(PROBLEM, registry, table, DAY, min_auc=0.5)
    assert "rows were left out" in found.reasons[0]
    assert found.rows < trained.spec.rows.test
    assert found.rows == sum(s.rows for s in found.slices if s.name.startswith("amount"))


def test_a_champion_that_learnt_from_all_days_is_compared_with_a_remark(
    registry: MemoryRegistry, table: Table, tmp_path: Path
) -> None:
    trained = train(RECIPE, table, dataclasses.replace(PLAN, split=SplitKind.RANDOM))
    promote(registry, "fraud", add(registry, trained, tmp_path / "old", BEFORE))
    add(registry, trained, tmp_path / "new", DAY)
    found = evaluate(PROBLEM, registry, table, DAY, min_auc=0.5)
    assert "may have learnt from these rows" in found.reasons[0]
    assert found.rows == trained.spec.rows.test
    assert not found.promote


def contender(version: str, auc: float, precision: float, day: date = DAY) -> Contender:
    return Contender(version=version, logical_date=day, metrics={"auc": auc, "average_precision": precision})


@pytest.mark.parametrize(
    ("candidate", "champion", "promoted", "reason"),
    [
        (contender("2", 0.79, 0.9), None, False, "below the minimum"),
        (contender("2", 0.9, 0.7), contender("1", 0.9, 0.7, BEFORE), False, "not better"),
        (contender("2", 0.9, 0.71), contender("1", 0.9, 0.7, BEFORE), True, "better"),
        (contender("2", 0.85, 0.71), contender("1", 0.9, 0.7, BEFORE), False, "but auc"),
        (contender("2", 0.9, 0.9), contender("2", 0.9, 0.9), False, "already"),
        (contender("1", 0.9, 0.9, BEFORE), contender("2", 0.9, 0.7), False, "later day"),
    ],
)
def test_verdicts(candidate: Contender, champion: Contender | None, promoted: bool, reason: str) -> None:
    promote_it, reasons = verdict(candidate, champion, min_auc=0.8)
    assert promote_it is promoted
    assert reason in reasons[0]


@pytest.mark.parametrize(
    ("rule", "low", "promoted"),
    [(Rule.POINT, -0.01, True), (Rule.INTERVAL, -0.01, False), (Rule.INTERVAL, 0.001, True)],
)
def test_a_gain_that_chance_could_explain_is_none_by_the_rule_of_the_interval(
    rule: Rule, low: float, promoted: bool
) -> None:
    gained = Interval(difference=0.01, low=low, high=0.03, confidence=0.9)
    found, reasons = verdict(contender("2", 0.9, 0.71), contender("1", 0.9, 0.7, BEFORE), 0.8, gained, rule)
    assert found is promoted
    assert f"90% interval {low:+.4f} to +0.0300" in reasons[0]


@pytest.mark.parametrize(
    ("candidate", "high", "tried"),
    [
        (contender("2", 0.9, 0.69), 0.01, True),
        (contender("2", 0.9, 0.69), 0.0, False),  # surely worse
        (contender("2", 0.88, 0.69), 0.01, False),  # too much AUC lost
        (contender("2", 0.79, 0.69), 0.01, False),
        (contender("1", 0.9, 0.7), 0.01, False),
        (contender("2", 0.9, 0.69, BEFORE - timedelta(days=1)), 0.01, False),
    ],
)
def test_what_may_be_tried_beside_the_champion(candidate: Contender, high: float, tried: bool) -> None:
    gained = Interval(difference=-0.01, low=-0.03, high=high, confidence=0.9)
    found = challenges(candidate, contender("1", 0.9, 0.7, BEFORE), 0.8, gained)
    assert (found is not None) is tried
    assert challenges(candidate, None, 0.8, None) is None


class TestScoresThatAreNone:
    """A model that gives no finite number to one row of the test has failed, whichever of both it is."""

    @staticmethod
    def break_version(monkeypatch: pytest.MonkeyPatch, of: date, given: float) -> None:
        right = TreesScorer.score

        def score(self: TreesScorer, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
            found = right(self, matrix)
            if self.spec.logical_date == of and len(found) > 1:
                found[3] = given
            return found

        monkeypatch.setattr(TreesScorer, "score", score)

    @pytest.mark.parametrize("given", [np.nan, np.inf])
    def test_the_candidate_is_not_promoted(
        self, registry: MemoryRegistry, table: Table, monkeypatch: pytest.MonkeyPatch, given: float
    ) -> None:
        publish(RECIPE, registry, table, PLAN, min_auc=0.8)
        self.break_version(monkeypatch, DAY, given)
        found = evaluate(PROBLEM, registry, table, DAY, min_auc=0.8)
        assert (found.promote, found.challenge, found.candidate) == (False, False, None)
        assert "version 1 cannot serve: 1 of" in found.reasons[0]

    def test_the_champion_is_no_measure(
        self, registry: MemoryRegistry, table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        promote(registry, "fraud", add(registry, train(RECIPE, table, PLAN), tmp_path, BEFORE))
        publish(RECIPE, registry, table, PLAN, min_auc=0.8)
        self.break_version(monkeypatch, BEFORE, np.nan)
        found = evaluate(PROBLEM, registry, table, DAY, min_auc=0.8)
        assert found.promote and found.champion is None
        assert any("champion 1 cannot be compared with: 1 of" in reason for reason in found.reasons)

    def test_what_was_trained_is_not_registered(
        self, registry: MemoryRegistry, table: Table, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.break_version(monkeypatch, DAY, np.nan)
        with pytest.raises(BadScore, match="1 of"):
            publish(RECIPE, registry, table, PLAN, min_auc=0.8)
        assert registry.versions("fraud") == []
