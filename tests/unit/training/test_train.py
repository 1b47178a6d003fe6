from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lamina.clock import DAY_MS
from lamina.definitions.fraud import FEATURES
from lamina.evaluation.card import model_card
from lamina.evaluation.plots import CURVES_FILE, RELIABILITY_FILE
from lamina.evaluation.read import read_table
from lamina.evaluation.table import Table, TrainingSetError, rows_to_learn, rows_to_test
from lamina.monitoring.drift.reference import REFERENCE_FILE, SCORES, load_reference
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import CARD_FILE
from lamina.scoring.encode import Encoder
from lamina.scoring.protocol import SCORE
from lamina.scoring.trees import TreesScorer
from lamina.scoring.trees_spec import LIGHTGBM_FILE, XGBOOST_FILE
from lamina.training.fit import under_sample
from lamina.training.publish import publish
from lamina.training.train import SplitKind, Trained, TrainingPlan, train
from models.fraud.problem import PROBLEM
from models.fraud.recipe import RECIPE
from models.fraud.score import load
from tests.training_sets import DAY, training_columns, write_training_set

PLAN = TrainingPlan(DAY, train_days=7, calibrate=False)
"""Without calibration, which costs more fits than the model."""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    lake = write_training_set(str(tmp_path_factory.mktemp("lake")))
    return read_table(lake, PROBLEM, DAY, FEATURES.model_features)


@pytest.fixture(scope="module")
def trained(table: Table) -> Trained:
    return train(RECIPE, table, PLAN)


def weights(trained: Trained, folder: Path) -> list[bytes]:
    trained.save(folder)
    return [(folder / name).read_bytes() for name in (XGBOOST_FILE, LIGHTGBM_FILE)]


def test_training_finds_what_was_put_in(trained: Trained) -> None:
    assert trained.spec.metrics["auc"] > 0.9
    assert trained.spec.metrics["average_precision"] > 0.4
    assert {"recall_scenario_large", "recall_scenario_risky"} <= set(trained.spec.metrics)


def test_the_same_rows_and_seed_give_the_same_weights(table: Table, trained: Trained, tmp_path: Path) -> None:
    again, other = train(RECIPE, table, PLAN), train(RECIPE, table, dataclasses.replace(PLAN, seed=1))
    assert weights(again, tmp_path / "a") == weights(trained, tmp_path / "b")
    assert weights(other, tmp_path / "c") != weights(trained, tmp_path / "d")


def test_what_is_saved_scores_as_it_did_in_the_test(table: Table, trained: Trained, tmp_path: Path) -> None:
    trained.save(tmp_path)
    scorer = load(tmp_path)
    assert isinstance(scorer, TreesScorer)
    rows = table.take(rows_to_test(table, trained.spec.split, 0))
    few = rows.take(np.arange(50))
    served = scorer.predict_batch([{n: few.inputs[n][i] for n in FEATURES.model_features} for i in range(50)])[SCORE]
    tested = scorer.score(Encoder(scorer.spec.inputs).matrix(few.inputs, 50))
    np.testing.assert_allclose(served, tested, rtol=1e-12)
    assert scorer.spec == trained.spec


def test_scores_are_probabilities_of_all_rows_not_of_the_sample(table: Table) -> None:
    """Under-sampled to one to one, frauds are half of the sample; corrected, scores average near their true share."""
    trained = train(RECIPE, table, dataclasses.replace(PLAN, negatives_per_positive=1))
    rows = table.take(rows_to_test(table, trained.spec.split, 0))
    scorer_input = Encoder(trained.spec.inputs).matrix(rows.inputs, len(rows))
    raw = 0.6 * trained.members.trees.inplace_predict(scorer_input) + 0.4 * trained.members.leaves.predict(scorer_input)
    corrected = TreesScorer(trained.spec, trained.members.trees, trained.members.leaves).score(scorer_input)
    share = rows.positive.mean()
    assert abs(corrected.mean() - share) < 0.5 * share < 2 * share < raw.mean()


@pytest.mark.parametrize("ratio", [1, 10, 0])
def test_under_sampling_keeps_every_fraud(table: Table, ratio: int) -> None:
    sample = under_sample(table.positive, ratio, seed=0)
    frauds, kept = int(table.positive.sum()), table.positive[sample.rows]
    assert kept.sum() == frauds
    assert len(set(sample.rows.tolist())) == len(sample.rows)
    legitimate = int((~table.positive).sum())
    assert (~kept).sum() == (min(ratio * frauds, legitimate) if ratio else legitimate)
    assert sample.negatives_kept == pytest.approx((~kept).sum() / legitimate)


def test_a_random_split_is_recorded(table: Table) -> None:
    spec = train(RECIPE, table, dataclasses.replace(PLAN, split=SplitKind.RANDOM)).spec
    assert spec.split.kind == "random"
    assert spec.rows.train + spec.rows.test == len(table)


def test_days_without_frauds_are_refused(table: Table) -> None:
    honest = dataclasses.replace(table, positive=np.zeros(len(table), bool))
    with pytest.raises(TrainingSetError, match=r"training days 2025-03-01 to 2025-03-07 hold .* 0 known frauds"):
        train(RECIPE, honest, PLAN)


def test_publishing_records_and_registers(table: Table, tmp_path: Path) -> None:
    registry = MemoryRegistry(tmp_path / "registry")
    said = publish(RECIPE, registry, table, PLAN, min_auc=0.8)
    (version,) = registry.versions("fraud")
    assert (said["version"], said["run_id"]) == (version.version, version.run_id)
    assert version.tags["logical_date"] == DAY.isoformat()
    files = registry.download("fraud", version.version, tmp_path / "served")
    assert load(files).spec.metrics == said["metrics"]
    curves = json.loads((tmp_path / "registry" / version.run_id / "curves" / CURVES_FILE).read_text())
    assert set(curves) == {"pr", "roc"}
    bands = json.loads((tmp_path / "registry" / version.run_id / "curves" / RELIABILITY_FILE).read_text())
    assert sum(band["rows"] for band in bands) == load(files).spec.rows.test
    assert (tmp_path / "registry" / version.run_id / "curves" / "pr.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(json.dumps(said)) == said
    card = registry.read("fraud", version.version, CARD_FILE)
    for part in ("## Data", "## Figures on the test days", "## Slices", "## Limits", "device mobile"):
        assert part in card
    assert f"{load(files).spec.rows.train:,} with" in card


def test_a_version_keeps_what_it_was_trained_on_beside_its_model(table: Table, tmp_path: Path) -> None:
    """Features of all rows learnt from; scores of all of the test days, of users who leave the test, too."""
    registry = MemoryRegistry(tmp_path / "registry")
    said = publish(RECIPE, registry, table, PLAN, min_auc=0.8)
    kept = load_reference(registry.read("fraud", str(said["version"]), REFERENCE_FILE), REFERENCE_FILE)
    files = registry.download("fraud", str(said["version"]), tmp_path / "served")
    spec = load(files).spec
    assert not (files / REFERENCE_FILE).exists()
    assert sorted(kept.features) == sorted(spec.names) and set(kept.sway) == {*spec.names, SCORES}
    learn = table.take(rows_to_learn(table, PLAN.days, PLAN.seed))
    served = table.take(rows_to_test(table, PLAN.days, PLAN.seed, known_leave=False))
    amount = kept.features["amount"].distribution()
    assert amount.count + amount.missing == len(learn) == spec.rows.train
    assert kept.scores.distribution().count == len(served) > spec.rows.test
    assert kept.positive_share == pytest.approx(
        (learn.positive.sum() + served.positive.sum()) / (len(learn) + len(served))
    )
    assert kept.ranking is not None and kept.ranking.auc > 0.9


def test_a_model_below_the_minimum_is_recorded_but_not_registered(table: Table, tmp_path: Path) -> None:
    registry = MemoryRegistry(tmp_path)
    said = publish(RECIPE, registry, table, PLAN, min_auc=0.9999)
    assert said["version"] is None
    assert said["run_id"]
    assert registry.versions("fraud") == []


def test_a_rerun_replaces_the_version_of_its_day(table: Table, tmp_path: Path) -> None:
    registry = MemoryRegistry(tmp_path)
    first, second = (publish(RECIPE, registry, table, PLAN, min_auc=0.8) for _ in range(2))
    assert second["superseded"] == [first["run_id"]]
    assert [v.run_id for v in registry.versions("fraud")] == [second["run_id"]]


def test_calibration_moves_no_order(table: Table, trained: Trained) -> None:
    found = train(RECIPE, table, dataclasses.replace(PLAN, calibrate=True)).spec
    assert found.calibration is not None
    for name in ("auc", "average_precision", "recall_at_fpr_001"):
        assert found.metrics[name] == pytest.approx(trained.spec.metrics[name], abs=1e-9)
    assert found.metrics["brier"] != trained.spec.metrics["brier"]


def test_labels_that_take_longer_than_assumed_are_told(tmp_path: Path) -> None:
    """Two days more than the delay: the last test days still hold frauds that nobody knows of."""
    columns = training_columns()
    fraud = columns["is_fraud"]
    late = pa.array(columns["timestamp"] + 9 * DAY_MS, mask=~fraud)
    lake = write_training_set(str(tmp_path), columns=columns | {"label_timestamp": late})
    trained = train(RECIPE, read_table(lake, PROBLEM, DAY, FEATURES.model_features), PLAN)
    assert trained.spec.rows.labels_late == 1.0
    card = model_card(PROBLEM, trained.spec, trained.slices)
    assert "100.0% of the fraud labels took longer than 7 days" in card and "raise `--delay-days`" in card
    assert "| days whose labels still arrive | 2025-03-22 to 2025-03-28, not used |" in card


def test_labels_in_time_are_told_too(trained: Trained) -> None:
    assert trained.spec.rows.labels_late == 0.0
    assert "0.0% of the training days' took longer" in model_card(PROBLEM, trained.spec, trained.slices)
