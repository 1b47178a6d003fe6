from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from lamina.definitions.fraud import FEATURES
from lamina.errors import ModelUnavailable
from lamina.evaluation.evaluate import evaluate
from lamina.evaluation.read import read_table
from lamina.evaluation.table import Table, TrainingSetError
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import MODEL_FOLDER, TrainingRun
from lamina.scoring.blend import BlendScorer, BlendSpec
from lamina.scoring.protocol import SCORE, SPEC_FILE
from lamina.training.blend import BlendPlan, publish_blend, recent_loss, weights_of
from lamina.training.train import TrainingPlan, train
from models.fraud.problem import PROBLEM
from models.fraud.recipe import RECIPE
from models.fraud.score import load
from tests.training_sets import DAY, write_training_set

PLAN = BlendPlan(DAY)
EARLY = TrainingPlan(DAY - timedelta(days=10), train_days=4, test_days=3, gap_days=0, calibrate=False)
"""Its training days end before those that members are weighed on."""
SEEN = dataclasses.replace(EARLY, day=DAY)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    lake = write_training_set(str(tmp_path_factory.mktemp("lake")))
    return read_table(lake, PROBLEM, DAY, FEATURES.names)


@pytest.fixture(scope="module")
def versions(table: Table, tmp_path_factory: pytest.TempPathFactory) -> MemoryRegistry:
    """Two good versions, one that learnt from others' labels, and one that has seen the weighing days."""
    registry = MemoryRegistry(tmp_path_factory.mktemp("registry"))
    mixed = dataclasses.replace(table, positive=np.random.default_rng(0).permutation(table.positive))
    for rows, plan in ((table, EARLY), (mixed, EARLY), (table, dataclasses.replace(EARLY, seed=1)), (table, SEEN)):
        folder = tmp_path_factory.mktemp("run")
        train(RECIPE, rows, plan).save(folder / MODEL_FOLDER)
        run = registry.record(TrainingRun("fraud", plan.day, folder))
        registry.register("fraud", run, {"logical_date": plan.day.isoformat()})
    return registry


@pytest.fixture(scope="module")
def blended(table: Table, versions: MemoryRegistry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a registered blend."""
    said = publish_blend(PROBLEM, versions, table, PLAN, min_auc=0.5)
    assert said["version"] == "5"
    return versions.download("fraud", "5", tmp_path_factory.mktemp("served"))


def test_versions_that_have_not_seen_the_weighing_days_are_weighed_by_their_loss(blended: Path) -> None:
    spec = BlendSpec.read(blended)
    by_version = {member.version: member.weight for member in spec.members}
    assert set(by_version) == {"1", "3"}
    assert sum(by_version.values()) == pytest.approx(1.0)
    assert spec.made_of.startswith("mean of the scores of past versions, ")


def test_the_score_is_the_weighted_mean_in_every_form(blended: Path, table: Table) -> None:
    scorer = load(blended)
    assert isinstance(scorer, BlendScorer)
    members = [(each.weight, load(blended / each.folder)) for each in scorer.spec.members]
    few = table.take(np.arange(20))
    rows = [{name: few.inputs[name][i] for name in scorer.names} for i in range(20)]
    expected = np.zeros(20)
    for weight, member in members:
        expected += weight * member.predict_columns(few.inputs, 20)[SCORE]
    np.testing.assert_allclose(scorer.predict_columns(few.inputs, 20)[SCORE], expected, rtol=1e-12)
    np.testing.assert_allclose(scorer.predict_batch(rows)[SCORE], expected, rtol=1e-12)
    assert scorer.predict(rows[0]) == pytest.approx(float(expected[0]), rel=1e-12)
    assert scorer.predict_batch([])[SCORE].shape == (0,)
    assert {name for name, _ in scorer.explain(rows[0])} == set(scorer.names)
    assert not scorer.calibrated


def test_the_gate_measures_a_blend_as_any_version(blended: Path, versions: MemoryRegistry, table: Table) -> None:
    found = evaluate(PROBLEM, versions, table, DAY, min_auc=0.5)
    assert found.candidate is not None
    assert found.candidate.version == "5"
    assert found.candidate.metrics == BlendSpec.read(blended).metrics
    assert found.promote
    assert "mean of the scores of past versions" in versions.read("fraud", "5", "model_card.md")


def test_one_version_alone_is_no_blend(table: Table, versions: MemoryRegistry) -> None:
    said = publish_blend(PROBLEM, versions, table, dataclasses.replace(PLAN, most=1), min_auc=0.5)
    reason = f"1 versions learnt from days before {PLAN.split.train_first} alone: 2 are needed"
    assert said == {"run_id": None, "version": None, "metrics": {}, "members": {}, "reason": reason}


def test_a_blend_below_the_minimum_is_recorded_and_not_registered(table: Table, versions: MemoryRegistry) -> None:
    before = [each.version for each in versions.versions("fraud")]
    said = publish_blend(PROBLEM, versions, table, PLAN, min_auc=1.0)
    assert said["run_id"]
    assert said["version"] is None
    assert [each.version for each in versions.versions("fraud")] == before


def test_days_without_frauds_are_refused(table: Table, versions: MemoryRegistry) -> None:
    honest = dataclasses.replace(table, positive=np.zeros(len(table), bool))
    with pytest.raises(TrainingSetError, match=r"weighing days .* 0 known frauds"):
        publish_blend(PROBLEM, versions, honest, PLAN, min_auc=0.5)


def test_a_blend_whose_weights_do_not_add_up_is_refused(blended: Path, tmp_path: Path) -> None:
    document = json.loads((blended / SPEC_FILE).read_text())
    document["members"][0]["weight"] = 0.123
    (tmp_path / SPEC_FILE).write_text(json.dumps(document))
    with pytest.raises(ModelUnavailable, match="add up to 1"):
        load(tmp_path)


def test_a_newer_row_counts_more(table: Table) -> None:
    """Scores that are right on the newest day only lose less than such that are right on the oldest only."""
    split = PLAN.split
    rows = table.take((table.day >= table.day.max() - 9) & (table.day < table.day.max() - 2))
    right, wrong = np.where(rows.positive, 0.9, 0.001), np.full(len(rows), 0.5)
    newest = np.where(rows.day == rows.day.max(), right, wrong)
    oldest = np.where(rows.day == rows.day.min(), right, wrong)
    assert split.train_last < split.test_first
    assert recent_loss(rows, newest, PLAN) < recent_loss(rows, oldest, PLAN)


def test_weights_fall_with_the_loss_and_add_up() -> None:
    found = weights_of(np.array([0.02, 0.02, 0.03]), PLAN)
    assert found[0] == found[1] > found[2] > 0
    assert found.sum() == pytest.approx(1.0)
    assert weights_of(np.array([0.0, 0.1]), PLAN).tolist() == [1.0, 0.0]
